"""The inputs and outputs of an exported model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from export.kinds.precision import Precision
from hetero.schema import record

INPUT, OUTPUT = "image", "embedding"
BYTE_SCALE, BYTE_ZERO = 1 / 128, 128
"""Scale and zero point of a uint8 embedding: the coordinates of a unit vector lie between -1 and 1."""


@record
class TensorEntry:
    """A model's input or output.

    Attributes:
        name: The runtime's name for it.
        type: ``uint8`` or ``float32`` for a tensor, ``image-rgb`` for a Core ML image.
        shape: With the batch for a tensor, 0 for any number; height and width for an image.
        scale: Scale of a quantised output: a value is ``scale * (byte - zero_point)``; 0 if it is not quantised.
        zero_point: See ``scale``.
    """

    name: str
    type: Literal["uint8", "float32", "image-rgb"]
    shape: tuple[int, ...]
    scale: float = 0.0
    zero_point: int = 0


@dataclass(frozen=True)
class Shape:
    """The sizes of a model's interface.

    Attributes:
        height: Height of the image.
        width: Width of the image.
        dimension: Dimension of the embedding.
        batch: Images at once; 0 for any number.
    """

    height: int
    width: int
    dimension: int
    batch: int = 1


def tensors(precision: Precision, shape: Shape) -> tuple[TensorEntry, TensorEntry]:
    """Return input and output of a file that takes uint8 [b, h, w, 3] and returns float32 [b, d], or bytes."""
    output = TensorEntry(OUTPUT, "float32", (shape.batch, shape.dimension))
    if precision == "int8-uint8io":
        output = TensorEntry(OUTPUT, "uint8", (1, shape.dimension), BYTE_SCALE, BYTE_ZERO)
    return TensorEntry(INPUT, "uint8", (shape.batch, shape.height, shape.width, 3)), output
