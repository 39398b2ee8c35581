"""What an exported model takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from export.kinds.precision import Precision
from hetero.schema import record

INPUT, OUTPUT = "image", "embedding"
BYTE_SCALE, BYTE_ZERO = 1 / 128, 128
"""Of an embedding in uint8: the coordinates of a unit vector lie between -1 and 1."""


@record
class TensorEntry:
    """A model's input or output.

    Attributes:
        name: As the runtime knows it.
        type: ``uint8`` or ``float32`` for a tensor, ``image-rgb`` for a Core ML image.
        shape: With the batch for a tensor, 0 where it may be any; height and width for an image.
        scale: Of a quantised output: a value is ``scale * (byte - zero_point)``; 0 when it is not quantised.
        zero_point: See ``scale``.
    """

    name: str
    type: Literal["uint8", "float32", "image-rgb"]
    shape: tuple[int, ...]
    scale: float = 0.0
    zero_point: int = 0


@dataclass(frozen=True)
class Shape:
    """The sizes that a model's interface has.

    Attributes:
        height: Of the image.
        width: Of the image.
        dimension: Of the embedding.
        batch: Images at once; 0 where it may be any number.
    """

    height: int
    width: int
    dimension: int
    batch: int = 1


def tensors(precision: Precision, shape: Shape) -> tuple[TensorEntry, TensorEntry]:
    """Input and output of a file that takes uint8 [b, h, w, 3] and gives float32 [b, d], or bytes where asked to."""
    given = TensorEntry(OUTPUT, "float32", (shape.batch, shape.dimension))
    if precision == "int8-uint8io":
        given = TensorEntry(OUTPUT, "uint8", (1, shape.dimension), BYTE_SCALE, BYTE_ZERO)
    return TensorEntry(INPUT, "uint8", (shape.batch, shape.height, shape.width, 3)), given
