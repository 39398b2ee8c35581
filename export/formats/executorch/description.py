"""What an ExecuTorch file says of itself: a method that gives the contract as JSON.

A program has no entry for metadata, but may have methods that return constants. The file is read here as the
flatbuffer that it is (``program.fbs``), without the library that wrote it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from hetero.foreign import strict_json

METHOD = "hetero"
"""Name of the method."""

_IDENTIFIER = b"ET12"
_LARGEST, _MOST_METHODS = 1 << 20, 1000
"""Largest size in bytes of a description, and number of methods that are searched for it."""
_METHODS, _NAME, _VALUES, _KIND, _VALUE, _TEXT = 1, 0, 2, 0, 1, 0
"""Places of fields in the tables Program, ExecutionPlan, EValue and String."""
_STRING = 6
"""The kind of a value that is a string."""


def read_description(content: bytes) -> dict[str, str]:
    """Return the description in a file; empty if there is none.

    Args:
        content: The file, which may come from anywhere.

    Raises:
        ValueError: If the file or its description is damaged; likewise other exceptions.
    """
    if content[4:8] != _IDENTIFIER:
        return {}
    for method in _tables(_root(content), _METHODS):
        if _text(method, _NAME) == METHOD.encode():
            (value,) = _tables(method, _VALUES)
            described = strict_json(_constant(value), what=f"the method {METHOD}")
            return {str(key): str(one) for key, one in described.items()}
    return {}


def _root(content: bytes) -> Any:
    from flatbuffers.table import Table

    return Table(content, struct.unpack_from("<I", content)[0])


def _tables(table: Any, place: int) -> Iterator[Any]:
    """Yield the tables of a list."""
    from flatbuffers.table import Table

    if field := _field(table, place):
        start = table.Vector(field)
        for index in range(min(table.VectorLen(field), _MOST_METHODS)):
            yield Table(table.Bytes, table.Indirect(start + 4 * index))


def _constant(value: Any) -> bytes:
    from flatbuffers.number_types import Uint8Flags
    from flatbuffers.table import Table

    if value.Get(Uint8Flags, value.Pos + _field(value, _KIND)) != _STRING:
        raise ValueError("its description is no text")
    inner = Table(value.Bytes, 0)
    value.Union(inner, _field(value, _VALUE))
    return _text(inner, _TEXT)


def _text(table: Any, place: int) -> bytes:
    """Return a string's bytes; empty if the table has none."""
    field = _field(table, place)
    if not field or table.VectorLen(field) > _LARGEST:
        return b""
    return bytes(table.String(table.Pos + field))


def _field(table: Any, place: int) -> int:
    """Return the offset of a field in its table; 0 if it is not there."""
    return table.Offset(4 + 2 * place)
