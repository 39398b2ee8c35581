"""JSON and numbers of unknown origin: bounded in depth and size before they are used."""

from __future__ import annotations

import json
import math
from typing import Any, cast

from hetero.errors import IntegrityError

DEEPEST = 64
"""Maximum depth of nested lists and tables."""

LARGEST_INTEGER = 2**63 - 1
"""Largest integer of numpy, torch and the formats of models."""


class JsonError(IntegrityError, ValueError):
    """Invalid or unsafe JSON; a ``ValueError``, as the errors of :mod:`json` are."""


def strict_json(data: bytes, *, what: str, finite: bool = True) -> Any:
    """Parse JSON that must be UTF-8, without duplicate keys, lone surrogates or numbers that few programs can hold.

    Args:
        data: The file's content.
        what: Name of the file in messages.
        finite: True to refuse the words NaN and Infinity; a number that overflows to infinity is always refused.

    Raises:
        JsonError: When it is not such JSON, or :func:`require_bounded` refuses it.
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
        ValueError: When the value exceeds a limit.
    """
    level = [value]
    for _ in range(DEEPEST + 1):
        if any(isinstance(item, int) and abs(item) > LARGEST_INTEGER for item in level):
            raise ValueError(f"a whole number lies beyond {LARGEST_INTEGER}")
        level = [inner for item in level for inner in _inside(item)]
        if not level:
            return
    raise ValueError(f"lists and tables are nested more than {DEEPEST} deep")


def _inside(value: object) -> list[object]:
    """Return the lists, tables and whole numbers in a list or table."""
    if isinstance(value, dict):
        items = list(cast("dict[str, object]", value).values())
    else:
        items = cast("list[object]", value) if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict | list | int)]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a key appears twice in one object")
    return table


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not a JSON number")


def _without_overflow(digits: str) -> float:
    if math.isinf(value := float(digits)):
        raise ValueError(f"{digits[:40]} is too large a number")
    return value
