"""What is wrong in a file and where: pydantic's findings in this project's words."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from hetero.errors import InputError

T = TypeVar("T")
Place = tuple[int | str, ...]
"""Keys and positions in lists, outermost first."""

# Files of unknown origin are quoted in messages, but not at any length.
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
"""Pydantic's names of broken constraints -> what was expected."""


@dataclass(frozen=True)
class Mistake:
    """Something wrong.

    Attributes:
        place: Where.
        problem: What was expected and what came.
        between: True if each value there is right by itself, and they do not fit each other.
    """

    place: Place
    problem: str
    between: bool = False

    def __str__(self) -> str:
        """One line."""
        nowhere = "" if self.between else "(top level)"  # such a problem begins with a field's name
        return f"{'.'.join(map(str, self.place))[:_SHOWN] or nowhere}{self.problem}"


def mistakes_of(error: Any) -> list[Mistake]:
    """Everything that a ``pydantic.ValidationError`` found."""
    return [mistake for item in _joined(error.errors()) if not _follows(item) for mistake in _described(item)]


def without(value: Any, places: Iterable[Place]) -> Any:
    """A copy of parsed JSON or TOML without these places; one that is not there takes what would hold it with it."""
    rest = copy.deepcopy(value)
    # From the end, so that positions in lists stay what they are.
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
    """Of a value that may be a number or a word, pydantic says what is wrong with it as each: here it is said once."""
    words = {item["loc"][:-1]: item["ctx"]["expected"] for item in items if _is_word(item)}
    numbers = [item for item in items if not _is_word(item)]
    return [
        {**item, "loc": place, "or": f", or {words[place]}"} if (place := item["loc"][:-1]) in words else item
        for item in numbers
    ]


def _is_word(item: Any) -> bool:
    return bool(item["loc"]) and str(item["loc"][-1]).startswith("literal[")


def _follows(item: Any) -> bool:
    """Whether a list is called too short only because its items are wrong."""
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
    came, otherwise = repr(item["input"])[:_SHOWN], item.get("or", "")
    if expected := _EXPECTED.get(item["type"]):
        return [Mistake(place, f": expected {expected.format(**item.get('ctx', {}))}{otherwise}, got {came}")]
    return [Mistake(place, f": {item['msg']}{otherwise}; got {came}")]


def attempt(problems: list[str], place: str, call: Callable[[], T]) -> T | None:
    """What ``call`` returns; bad input is added to ``problems`` instead of being raised, and gives None.

    Args:
        problems: Is added to.
        place: Where the input stands, before each problem.
        call: May raise an ``InputError``.
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
