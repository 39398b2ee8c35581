"""Types of numbers that people write, with their limits; :func:`hetero.schema.parse` and ``settings`` enforce them.

Needs no torch and no pydantic. None of the types allows a number that is not finite.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Interval, MinLen, MultipleOf

Positive = Annotated[float, Gt(0)]
"""Above 0."""

NotNegative = Annotated[float, Ge(0)]
"""0 or more."""

Share = Annotated[float, Interval(ge=0, le=1)]
"""A share or a probability: 0 to 1, both included."""

PartialShare = Annotated[float, Interval(ge=0, lt=1)]
"""0 to less than 1."""

ProperShare = Annotated[float, Interval(gt=0, lt=1)]
"""Between 0 and 1, both excluded."""

Count = Annotated[int, Ge(1)]
"""1 or more."""

Number = Annotated[int, Ge(0)]
"""0 or more; 0 usually stands for none."""

Seed = Annotated[int, Interval(ge=0, lt=2**63)]
"""A seed that the random generators of both numpy and torch take."""

GreyLevel = Annotated[int, Interval(ge=0, le=255)]
"""A grey level of 8 bits."""

Side = Annotated[int, Interval(ge=1, le=8192)]
"""Side of a network's input in pixels; at the largest, an image decodes to 200 MB."""

Channels = Annotated[int, Interval(ge=1, le=65536)]
"""Channels of a feature map, or the length of an embedding."""

Stride = Annotated[int, Interval(ge=1, le=64)]
"""Stride of a convolution."""

Text = Annotated[str, MinLen(1)]
"""A text that is not empty."""

__all__ = [
    "Channels",
    "Count",
    "GreyLevel",
    "MinLen",
    "MultipleOf",
    "NotNegative",
    "Number",
    "PartialShare",
    "Positive",
    "ProperShare",
    "Seed",
    "Share",
    "Side",
    "Stride",
    "Text",
]
