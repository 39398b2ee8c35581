"""Constants of a Core ML program: in its file of weights, or in the program itself.

A blob in that file (storage version 2; coremltools, ``mlmodel/src/MILBlob/Blob/StorageFormat.hpp``) has a record of 64
bytes and starts at a multiple of 64, and the program names its file: 140 bytes on average besides the numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any

FILE = "Data/com.apple.CoreML/weights/weight.bin"
LARGEST_WITHIN = 4096
"""Largest size in bytes of a constant in the program; larger ones are mapped from the file as needed."""

_HEADER = struct.Struct("<II56x")
_RECORD = struct.Struct("<IIQQQ32x")
_VERSION, _SENTINEL = 2, 0xDEADBEEF
_ALIGNED = 64
_WHOLE_BYTES = {1: "fp16", 2: "fp32", 3: "uint8", 4: "int8"}


def move_small_within(operations: Iterable[Any], stored: bytes) -> bytes:
    """Move small constants into the program.

    Args:
        operations: Operations of the program's one block; changed in place.
        stored: Content of the file of weights.

    Returns:
        The file with the remaining constants, each once.

    Raises:
        ValueError: If it is not the file that the program names.
    """
    _, version = _HEADER.unpack_from(stored)
    if version != _VERSION:
        raise ValueError(f"expected weights in blob storage version {_VERSION}, got {version}")
    remaining = bytearray(_HEADER.size)
    moved: dict[int, int] = {}
    values = [value for operation in operations for value in operation.attributes.values()]
    for value in values:
        if value.WhichOneof("value") != "blobFileValue":
            continue
        place = value.blobFileValue.offset
        sentinel, code, length, start, padding = _RECORD.unpack_from(stored, place)
        data = stored[start : start + length]
        if sentinel != _SENTINEL or len(data) != length:
            raise ValueError(f"the program's weights at {place} are not in the file")
        if length <= LARGEST_WITHIN and code in _WHOLE_BYTES:
            _write_within(value, _WHOLE_BYTES[code], data)
            continue
        if place not in moved:
            moved[place] = len(remaining)
            remaining += _RECORD.pack(sentinel, code, length, len(remaining) + _RECORD.size, padding) + data
            remaining += bytes(-len(remaining) % _ALIGNED)
        value.blobFileValue.offset = moved[place]
    _HEADER.pack_into(remaining, 0, len(moved), version)
    return bytes(remaining)


def _write_within(value: Any, element: str, data: bytes) -> None:
    # As coremltools writes them: float32 as numbers, everything narrower as bytes.
    if element == "fp32":
        value.immediateValue.tensor.floats.values[:] = struct.unpack(f"<{len(data) // 4}f", data)
    else:
        value.immediateValue.tensor.bytes.values = data
