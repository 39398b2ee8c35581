"""``weight.bin``: blob storage version 2 (coremltools, ``mlmodel/src/MILBlob/Blob/StorageFormat.hpp``).

A header of 64 bytes holds the number of blobs; each blob has a record of 64 bytes that holds the offset of its data.
"""

from __future__ import annotations

import mmap
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_tests.runtimes.coreml.types import Element
from hetero.errors import IntegrityError

_HEADER = struct.Struct("<II56x")
_RECORD = struct.Struct("<IIQQQ32x")
_VERSION = 2
_SENTINEL = 0xDEADBEEF
_CODES = {
    "fp16": 1, "fp32": 2, "uint8": 3, "int8": 4, "int16": 6, "uint16": 7, "int4": 8, "uint1": 9, "uint2": 10,
    "uint4": 11, "uint3": 12, "uint6": 13, "int32": 14, "uint32": 15,
}  # fmt: skip


class WeightFile:
    """One file of weights, mapped into memory.

    Args:
        path: The file.

    Raises:
        IntegrityError: If it is not blob storage of version 2.
    """

    def __init__(self, path: Path) -> None:
        self._name = path.name
        with path.open("rb") as stream:
            self._size = stream.seek(0, 2)
            if self._size < _HEADER.size:
                raise IntegrityError(f"{self._name} was cut off: {self._size} bytes are too few for its header")
            self._data = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        count, version = _HEADER.unpack_from(self._data)
        if version != _VERSION:
            raise IntegrityError(f"{self._name}: expected blob storage version {_VERSION}, got {version}")
        if count * _RECORD.size > self._size:
            raise IntegrityError(f"{self._name}: its header claims {count} blobs, which {self._size} bytes cannot hold")

    def read(self, offset: int, element: Element, count: int) -> NDArray[Any]:
        """Return one blob, flat; integers of fewer than 8 bits one to a byte.

        Args:
            offset: Offset of the blob's record.
            element: Expected type.
            count: Expected number of elements.

        Raises:
            IntegrityError: If the file has no such blob there.
        """
        what = f"{self._name}: the weights at {offset}"
        if offset % _RECORD.size or offset < _HEADER.size or offset + _RECORD.size > self._size:
            raise IntegrityError(f"{what} lie outside of its {self._size} bytes or between two records")
        sentinel, code, length, start, padding = _RECORD.unpack_from(self._data, offset)
        if sentinel != _SENTINEL:
            raise IntegrityError(f"{what} do not start with a record")
        if code != _CODES.get(element.name):
            raise IntegrityError(f"{what} are of type {code}, the program expects {element.name}")
        expected = -(-count * element.bits // 8)
        if length != expected or (element.bits < 8 and padding != 8 * length - count * element.bits):
            raise IntegrityError(f"{what} take {length} bytes, the program expects {expected} for {count} elements")
        if start < offset + _RECORD.size or start + length > self._size:
            raise IntegrityError(f"{what} end at {start + length}, the file at {self._size}: it was cut off")
        if element.bits < 8:
            return unpack(np.frombuffer(self._data, np.uint8, length, start), element, count)
        return np.frombuffer(self._data, element.dtype, count, start)


def unpack(packed: NDArray[np.uint8], element: Element, count: int) -> NDArray[Any]:
    """Unpack integers of fewer than 8 bits from bytes, least significant bit first; one may span two bytes.

    Args:
        packed: uint8, at least ``count * element.bits`` bits.
        element: Their type; ``int4`` is in two's complement.
        count: Their number.
    """
    flags = np.unpackbits(packed, count=count * element.bits, bitorder="little").reshape(count, element.bits)
    values = (flags << np.arange(element.bits, dtype=np.uint8)).sum(axis=1, dtype=np.uint8)
    if element.dtype.kind == "i":
        half = 1 << (element.bits - 1)
        return ((values ^ half).astype(np.int16) - half).astype(np.int8)
    return values
