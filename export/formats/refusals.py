"""Refusals of precisions that several formats share."""

from __future__ import annotations

from export.kinds.precision import Precision, Refusal

STATIC = "activations and weights in int8 with ranges from calibration images; the norm stays float32"

_palettes = Refusal("palettes are a Core ML compression; take int8-weights")
NO_PALETTES: dict[Precision, Refusal] = {"palette8": _palettes, "palette6": _palettes, "palette4": _palettes}
