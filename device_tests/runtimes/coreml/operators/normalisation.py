"""Normalisations.

Variances and sums of squares are rounded like results: in half precision they overflow long before the values that
they normalise.
"""

from __future__ import annotations

import numpy as np

from device_tests.runtimes.coreml.operators.batching import along_first, not_over
from device_tests.runtimes.coreml.operators.registry import Array, Rounded, operator
from device_tests.runtimes.coreml.operators.shapes import require_axes


@operator("batch_norm", batch=along_first)
def batch_norm(
    x: Array,
    mean: Array,
    variance: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    epsilon: float = 1e-5,
) -> Array:
    """Shift and scale each channel of ``x`` [n, c, ...] by given statistics [c]."""
    scale = 1 / np.sqrt(variance + np.float32(epsilon))
    if gamma is not None:
        scale = scale * gamma
    shift = -mean * scale if beta is None else beta - mean * scale
    return x * _by_channel(scale, x) + _by_channel(shift, x)


@operator("instance_norm", batch=along_first)
def instance_norm(
    x: Array, gamma: Array | None = None, beta: Array | None = None, epsilon: float = 1e-5, *, rounded: Rounded
) -> Array:
    """Normalise each channel of each image of ``x`` [n, c, ...], then scale by ``gamma`` and shift by ``beta``, [c]."""
    result = _standardised(x, tuple(range(2, x.ndim)), epsilon, rounded)
    if gamma is not None:
        result = result * _by_channel(gamma, x)
    return result if beta is None else result + _by_channel(beta, x)


@operator("layer_norm", batch=not_over("axes", default=None))
def layer_norm(
    x: Array,
    axes: tuple[int, ...] | None = None,
    gamma: Array | None = None,
    beta: Array | None = None,
    epsilon: float = 1e-5,
    *,
    rounded: Rounded,
) -> Array:
    """Normalise over some axes, then scale by ``gamma`` and shift by ``beta``, which have these axes only."""
    over = require_axes(tuple(range(x.ndim)) if axes is None else axes, x.ndim)
    result = _standardised(x, over, epsilon, rounded)
    shape = [size if axis in over else 1 for axis, size in enumerate(x.shape)]
    if gamma is not None:
        result = result * gamma.reshape(shape)
    return result if beta is None else result + beta.reshape(shape)


def _by_channel(values: Array, x: Array) -> Array:
    if values.shape != x.shape[1:2]:
        raise ValueError(f"statistics of shape {list(values.shape)} do not fit {list(x.shape)}")
    return values.reshape(-1, *(1,) * (x.ndim - 2))


def _standardised(x: Array, axes: tuple[int, ...], epsilon: float, rounded: Rounded) -> Array:
    centred = x - x.mean(axis=axes, keepdims=True)
    variance = rounded((centred * centred).mean(axis=axes, keepdims=True))
    return centred / np.sqrt(variance + np.float32(epsilon))
