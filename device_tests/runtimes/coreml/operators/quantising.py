"""Affine quantisation of activations."""

from __future__ import annotations

from typing import Literal

import numpy as np

from device_tests.runtimes.coreml.operators.batching import Call
from device_tests.runtimes.coreml.operators.registry import Array, operator


def _over_channels(call: Call) -> bool:
    shape = call.shapes["input"]
    return call.only("input") and shape[:1] == (1,) and call.constants.get("axis", 1) % len(shape) != 0


@operator(batch=_over_channels)
def quantize(
    input: Array,
    scale: Array,
    output_dtype: Literal["int8", "uint8"],
    zero_point: Array | None = None,
    axis: int | None = None,
) -> Array:
    """Return ``clip(round(input / scale) + zero_point)``, halves to even."""
    limits = np.iinfo(output_dtype)
    result = np.rint(input / along(scale, input, axis))
    if zero_point is not None:
        result = result + along(zero_point, input, axis).astype(np.float32)
    return np.clip(result, limits.min, limits.max).astype(output_dtype)


@operator(batch=_over_channels)
def dequantize(input: Array, scale: Array, zero_point: Array | None = None, axis: int | None = None) -> Array:
    """Return ``scale * (input - zero_point)``."""
    return affine(input, scale, zero_point, axis)


def affine(data: Array, scale: Array, zero_point: Array | None, axis: int | None) -> Array:
    """Return ``scale * (data - zero_point)`` in float32, with one pair for all or one for each index along an axis."""
    result = data.astype(np.float32)
    if zero_point is not None:
        result -= along(zero_point, data, axis).astype(np.float32)
    return result * along(scale, data, axis)


def along(values: Array, data: Array, axis: int | None) -> Array:
    """Return a scalar, or a vector reshaped to broadcast along an axis of ``data``."""
    if values.size == 1:
        return values.reshape(())
    if values.ndim != 1 or axis is None or values.size != data.shape[axis]:
        raise ValueError(f"numbers of shape {list(values.shape)} do not fit {list(data.shape)} along {axis}")
    return values.reshape([-1 if at == axis % data.ndim else 1 for at in range(data.ndim)])
