"""JSON and numbers of unknown origin: bounded in depth and size before anything is made of them."""

from __future__ import annotations

import json
import math
from typing import Any, cast

from hetero.errors import IntegrityError

DEEPEST = 64
"""Lists and tables inside each other."""

LARGEST_INTEGER = 2**63 - 1
"""What numpy, torch and the formats of models hold."""


class JsonError(IntegrityError, ValueError):
    """Not the JSON that it should be; a ``ValueError`` as those of :mod:`json` are."""


def strict_json(data: bytes, *, what: str, finite: bool = True) -> Any:
    """Parse JSON that must be UTF-8, without duplicate keys, lone surrogates and numbers that no other program holds.

    Args:
        data: The file's content.
        what: Names it in messages.
        finite: Refuse the words NaN and Infinity; a number that overflows to infinity is never taken.

    Raises:
        JsonError: When it is not, or holds what :func:`require_bounded` refuses.
    """
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_unique,
            parse_constant=_refused if finite else None,
            parse_float=_without_overflow,
        )
        require_bounded(value)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise JsonError(f"{what} is not valid JSON: {str(error)[:200]}") from None
    return value


def require_bounded(value: object) -> None:
    """Refuse whole numbers beyond :data:`LARGEST_INTEGER` and nesting beyond :data:`DEEPEST`.

    Args:
        value: Parsed JSON or TOML.

    Raises:
        ValueError: When there is one.
    """
    level = [value]
    for _ in range(DEEPEST + 1):
        if any(isinstance(one, int) and abs(one) > LARGEST_INTEGER for one in level):
            raise ValueError(f"a whole number lies beyond {LARGEST_INTEGER}")
        level = [inner for one in level for inner in _inside(one)]
        if not level:
            return
    raise ValueError(f"lists and tables are nested more than {DEEPEST} deep")


def _inside(value: object) -> list[object]:
    """The lists, tables and whole numbers in a list or table."""
    if isinstance(value, dict):
        held = list(cast("dict[str, object]", value).values())
    else:
        held = cast("list[object]", value) if isinstance(value, list) else []
    return [one for one in held if isinstance(one, dict | list | int)]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key appears twice in one object")
    return made


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")


def _without_overflow(digits: str) -> float:
    if math.isinf(value := float(digits)):
        raise ValueError(f"{digits[:40]} is too large a number")
    return value
