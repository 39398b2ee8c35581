"""Types of tensors, as an ML program declares them (MIL.proto, ``DataType`` and ``TensorType``)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Element:
    """The type of a tensor's elements.

    Attributes:
        name: MIL's name, for instance ``fp16``.
        dtype: Type in memory; integers of fewer than 8 bits take a byte.
        bits: Bits of one element in a weight file.
    """

    name: str
    dtype: np.dtype[Any]
    bits: int

    @property
    def is_float(self) -> bool:
        """True if results are rounded to it."""
        return self.dtype.kind == "f"


def _element(name: str, dtype: str, bits: int | None = None) -> Element:
    held = np.dtype(dtype)
    return Element(name, held, bits or 8 * held.itemsize)


STRING = Element("string", np.dtype("O"), 0)
FLOAT16 = _element("fp16", "float16")
FLOAT32 = _element("fp32", "float32")

# Numbers of MIL.proto's enumeration. Missing types (fp64, bfloat16, float8) are not verified.
ELEMENTS = {
    1: _element("bool", "bool"),
    2: STRING,
    10: FLOAT16,
    11: FLOAT32,
    21: _element("int8", "int8"),
    22: _element("int16", "int16"),
    23: _element("int32", "int32"),
    24: _element("int64", "int64"),
    25: _element("int4", "int8", 4),
    31: _element("uint8", "uint8"),
    32: _element("uint16", "uint16"),
    33: _element("uint32", "uint32"),
    34: _element("uint64", "uint64"),
    35: _element("uint4", "uint8", 4),
    36: _element("uint2", "uint8", 2),
    37: _element("uint1", "uint8", 1),
    38: _element("uint6", "uint8", 6),
    39: _element("uint3", "uint8", 3),
}


@dataclass(frozen=True)
class TensorType:
    """A declared type.

    Attributes:
        element: Type of each number.
        shape: ``None`` for a size that is known only when the program runs.
    """

    element: Element
    shape: tuple[int | None, ...]

    @property
    def known_shape(self) -> tuple[int, ...]:
        """The shape, with 1 for unknown sizes."""
        return tuple(1 if size is None else size for size in self.shape)

    @property
    def size(self) -> int:
        """Number of elements, as far as known."""
        return math.prod(self.known_shape)

    def accepts(self, shape: tuple[int, ...], batch: int = 1) -> bool:
        """Return True if an array of this shape has the declared type.

        Args:
            shape: Shape of the array.
            batch: Number of images stacked along the first axis.
        """
        if batch == 1 and shape == self.shape:
            return True
        if len(shape) != len(self.shape):
            return False
        expected = (
            None if size is None else size * (batch if axis == 0 else 1) for axis, size in enumerate(self.shape)
        )
        return all(want is None or size == want for size, want in zip(shape, expected, strict=True))

    def __str__(self) -> str:
        sizes = ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.element.name} [{sizes}]"
