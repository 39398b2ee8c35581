"""Precisions, and what a format says about each: how it is made, what runs it at least, or why it is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Precision = Literal[
    "fp32", "fp16", "int8", "int8-dynamic", "int8-weights", "int8-uint8io", "palette8", "palette6", "palette4"
]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True)
class Offer:
    """A precision that a format takes.

    Attributes:
        made: How the file is made.
        runs_on: The least runtime or system that reads it.
        goal: Largest share of asymmetric map@r that it may lose against the float32 model on the calibration set.
        sanity: Smallest cosine with torch on a golden image at which the file still counts as the same model. Whether
            it is good enough for retrieval, verification says.
        calibrated: Whether it cannot be made without calibration images.
        half: Whether some runtime computes it in float16, so that float16's range must hold every intermediate value.
    """

    made: str
    runs_on: str
    goal: float
    sanity: float
    calibrated: bool = False
    half: bool = False


@dataclass(frozen=True)
class Refusal:
    """A precision that a format does not take, and why."""

    why: str
