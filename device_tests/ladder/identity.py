"""Which embedding space a model's file itself names, read without the libraries that wrote it.

Files of unknown origin are read here, so only the way to one entry is followed: ONNX keeps it in ``metadata_props``
(field 14 of ModelProto), Core ML in ``description.metadata.userDefined`` (fields 2, 100, 100 of Model), both protocol
buffers (https://protobuf.dev/programming-guides/encoding); TFLite in a metadata buffer called ``hetero``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from export.bundle.manifest import Format
from hetero.foreign import strict_json

KEY = "hetero.space_id"
_LARGEST_ENTRY, _MOST_ENTRIES = 1 << 20, 1000
"""Bytes of a description, and entries of metadata that are looked through for it."""
_COREML_SPECIFICATION = "Data/com.apple.CoreML/model.mlmodel"


def space_in_file(format: Format, path: Path) -> str:
    """The space id that a model's file carries; empty when it carries none, or is no such file."""
    try:
        if format == "litert":
            return _in_tflite(path.read_bytes())
        if format == "onnx":
            return _in_entries(path.read_bytes(), [14])
        return _in_entries((path / _COREML_SPECIFICATION).read_bytes(), [2, 100, 100])
    except (ValueError, OSError, IndexError, KeyError, TypeError, AttributeError, struct.error):
        return ""


def _in_entries(message: bytes, path: list[int]) -> str:
    """The value of :data:`KEY` among the string entries (key: field 1, value: field 2) below a path of fields."""
    for inner in (value for field, value in _fields(message) if field == path[0]):
        if len(path) > 1:
            if found := _in_entries(inner, path[1:]):
                return found
            continue
        entry = dict(_fields(inner))
        if entry.get(1) == KEY.encode():
            return entry[2].decode()
    return ""


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Length-delimited fields of a protocol buffer's message; others are passed over."""
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


def _in_tflite(content: bytes) -> str:
    from ai_edge_litert import schema_py_generated as schema

    if content[4:8] != b"TFL3":
        return ""
    model: Any = schema.Model.GetRootAs(content, 0)
    for index in range(min(model.MetadataLength(), _MOST_ENTRIES)):
        entry = model.Metadata(index)
        if entry.Name() == b"hetero":
            buffer = model.Buffers(entry.Buffer())
            if buffer.DataLength() > _LARGEST_ENTRY:
                return ""
            return str(strict_json(bytes(buffer.DataAsNumpy()), what=KEY).get(KEY, ""))
    return ""
