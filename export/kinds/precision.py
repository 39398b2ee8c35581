"""Precisions, and each format's offer or refusal of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Precision = Literal[
    "fp32", "fp16", "int8", "int8-dynamic", "int8-weights", "int8-uint8io", "palette8", "palette6", "palette4"
]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


@dataclass(frozen=True)
class Offer:
    """A precision that a format offers.

    Attributes:
        made: Description of how the file is made.
        runs_on: The oldest runtime or system that reads it.
        goal: Largest share of asymmetric map@r that it may lose against the float32 model on the calibration set.
        sanity: Smallest cosine with torch on a golden image at which the file still counts as the same model.
            Verification tells if it is good enough for retrieval.
        calibrated: True if it cannot be made without calibration images.
        half: True if some runtime computes it in float16, so that every intermediate value must be in float16's range.
    """

    made: str
    runs_on: str
    goal: float
    sanity: float
    calibrated: bool = False
    half: bool = False


@dataclass(frozen=True)
class Refusal:
    """A precision that a format refuses, and the reason."""

    why: str
