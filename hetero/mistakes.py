"""The mistakes in a file and their places: pydantic's findings in this project's words."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from hetero.errors import InputError

T = TypeVar("T")
Place = tuple[int | str, ...]
"""Keys and positions in lists, outermost first."""

# Messages quote files of unknown origin, but only up to this length.
_SHOWN = 200
_EXPECTED: Mapping[str, str] = {
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than": "a number below {lt:g}",
    "less_than_equal": "at most {le:g}",
    "multiple_of": "a multiple of {multiple_of}",
    "finite_number": "a finite number",
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
    "string_too_short": "a text that is not empty",
}
"""Pydantic's names of broken constraints -> the expectation in words."""


@dataclass(frozen=True)
class Mistake:
    """A mistake in a file.

    Attributes:
        place: Place of the mistake.
        problem: The expectation and the actual value.
        between: True if each value there is right by itself, but they do not fit together.
    """

    place: Place
    problem: str
    between: bool = False

    def __str__(self) -> str:
        """Return the mistake as one line."""
        nowhere = "" if self.between else "(top level)"  # such a problem begins with a field's name
        return f"{'.'.join(map(str, self.place))[:_SHOWN] or nowhere}{self.problem}"


def mistakes_of(error: Any) -> list[Mistake]:
    """Return all mistakes of a ``pydantic.ValidationError``."""
    return [mistake for item in _joined(error.errors()) if not _follows(item) for mistake in _described(item)]


def without(value: Any, places: Iterable[Place]) -> Any:
    """Copy parsed JSON or TOML without these places; a missing place removes the value that would hold it."""
    rest = copy.deepcopy(value)
    # From the end, so that positions in lists do not shift.
    for place in sorted(
        set(places), key=lambda place: [f"{step:09}" if isinstance(step, int) else step for step in place]
    )[::-1]:
        holders = [rest]
        for step in place:
            if not _has(holders[-1], step):
                break
            holders.append(holders[-1][step])
        if len(holders) > 1:
            del holders[-2][place[len(holders) - 2]]
    return rest


def _joined(items: list[Any]) -> list[Any]:
    """Join pydantic's two findings on a value that may be a number or a word into one."""
    words = {item["loc"][:-1]: item["ctx"]["expected"] for item in items if _is_word(item)}
    numbers = [item for item in items if not _is_word(item)]
    return [
        {**item, "loc": place, "or": f", or {words[place]}"} if (place := item["loc"][:-1]) in words else item
        for item in numbers
    ]


def _is_word(item: Any) -> bool:
    return bool(item["loc"]) and str(item["loc"][-1]).startswith("literal[")


def _follows(item: Any) -> bool:
    """Return True if a list is reported as too short only because its items are wrong."""
    return item["type"] == "too_short" and len(item["input"]) >= item["ctx"]["min_length"]


def _has(holder: Any, step: int | str) -> bool:
    return step in holder if isinstance(holder, dict) else isinstance(holder, list) and step in range(len(holder))


def _described(item: Any) -> list[Mistake]:
    place: Place = tuple(item["loc"])
    if isinstance(error := item.get("ctx", {}).get("error"), InputError):
        return [
            Mistake(place, f".{problem}" if place else problem, between=True)
            for problem in error.problems or (str(error),)
        ]
    if item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return [Mistake(place, ": unknown key")]
    if item["type"] == "missing":
        return [Mistake(place, ": missing")]
    value, otherwise = repr(item["input"])[:_SHOWN], item.get("or", "")
    if expected := _EXPECTED.get(item["type"]):
        return [Mistake(place, f": expected {expected.format(**item.get('ctx', {}))}{otherwise}, got {value}")]
    return [Mistake(place, f": {item['msg']}{otherwise}; got {value}")]


def attempt(problems: list[str], place: str, call: Callable[[], T]) -> T | None:
    """Return the result of ``call``; on bad input, add it to ``problems`` instead of raising, and return None.

    Args:
        problems: List that receives the problems.
        place: Place of the input, put before each problem.
        call: Function that may raise an ``InputError``.
    """
    try:
        return call()
    except InputError as error:
        headline, *rest = (
            str(error).splitlines() if not error.problems else (str(error).splitlines()[0], *error.problems)
        )
        if headline.endswith("is not valid:"):
            problems += [f"{place}: {problem}" for problem in rest]
        else:
            problems += [f"{place}: {headline}", *(f"  {problem}" for problem in rest)]
        return None
