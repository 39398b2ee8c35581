"""Resizing of the last two axes."""

from __future__ import annotations

import math

import numpy as np

from device_tests.runtimes.coreml.operators.batching import along_first
from device_tests.runtimes.coreml.operators.registry import Array, Unsupported, operator
from device_tests.runtimes.coreml.operators.shapes import require_shape
from device_tests.runtimes.coreml.types import TensorType


@operator(batch=along_first)
def upsample_bilinear(
    x: Array,
    scale_factor_height: float = 1.0,
    scale_factor_width: float = 1.0,
    align_corners: bool = True,
    *,
    expected: TensorType,
) -> Array:
    """Interpolate bilinearly by factors, which are computed again from the size of the result."""
    height, width = _scaled(x, scale_factor_height, scale_factor_width, expected)
    rows = _weights(x.shape[-2], height, align_corners=align_corners)
    columns = _weights(x.shape[-1], width, align_corners=align_corners)
    return np.matmul(rows, x) @ columns.T


@operator(batch=along_first)
def upsample_nearest_neighbor(
    x: Array, scale_factor_height: float = 1.0, scale_factor_width: float = 1.0, *, expected: TensorType
) -> Array:
    """Take the nearest number, for whole factors."""
    height, width = _scaled(x, scale_factor_height, scale_factor_width, expected)
    # For other factors, engines disagree on which number is nearest.
    if height % x.shape[-2] or width % x.shape[-1]:
        raise Unsupported(f"from {list(x.shape[-2:])} to {[height, width]}, which is no whole factor")
    rows, columns = np.arange(height) * x.shape[-2] // height, np.arange(width) * x.shape[-1] // width
    return x[..., rows[:, None], columns]


def _scaled(x: Array, height: float, width: float, expected: TensorType) -> tuple[int, int]:
    if not (0 < height < 1 << 12 and 0 < width < 1 << 12):
        raise ValueError(f"the factors {height} and {width} are absurd")
    sizes = (math.floor(x.shape[-2] * height), math.floor(x.shape[-1] * width))
    require_shape((*x.shape[:-2], *sizes), expected)
    return sizes


def _weights(size: int, length: int, *, align_corners: bool) -> Array:
    """Return float32 [length, size]: the weight of each of the argument's pixels in each of the result's."""
    places = np.clip(_places(size, length, align_corners=align_corners), 0, size - 1)
    below = np.minimum(np.floor(places).astype(np.int64), max(size - 2, 0))
    share = places - below
    matrix = np.zeros((length, size), np.float32)
    np.add.at(matrix, (np.arange(length), below), 1 - share)
    np.add.at(matrix, (np.arange(length), np.minimum(below + 1, size - 1)), share)
    return matrix


def _places(size: int, length: int, *, align_corners: bool) -> Array:
    """Return float64 [length]: the positions of the results, in the argument's coordinates."""
    steps = np.arange(length, dtype=np.float64)
    return steps * (size - 1) / max(length - 1, 1) if align_corners else (steps + 0.5) * size / length - 0.5
