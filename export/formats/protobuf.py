"""Reading one entry of a protocol buffer without the library that wrote it.

ONNX and Core ML keep their metadata in messages of https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from export.kinds.format import SPACE_KEY


def space_among(message: bytes, path: Sequence[int]) -> str:
    """Return the value of :data:`~export.kinds.format.SPACE_KEY` among string entries, empty if it is missing.

    Args:
        message: A protocol buffer's message.
        path: Fields, outermost first, that lead to the entries (key: field 1, value: field 2).

    Raises:
        ValueError: If it is no such message; likewise ``IndexError``, ``KeyError`` and ``AttributeError``.
    """
    for inner in (value for field, value in _fields(message) if field == path[0]):
        if len(path) > 1:
            if found := space_among(inner, path[1:]):
                return found
            continue
        entry = dict(_fields(inner))
        if entry.get(1) == SPACE_KEY.encode():
            return entry[2].decode()
    return ""


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield length-delimited fields of a protocol buffer's message; others are skipped."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            _, at = _varint(message, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        elif kind == 2:
            size, at = _varint(message, at)
            if at + size > len(message):
                raise ValueError("a field runs past the end")
            yield key >> 3, message[at : at + size]
            at += size
        else:
            raise ValueError(f"wire type {kind}")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than 64 bits")
