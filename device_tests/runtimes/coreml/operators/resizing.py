"""Resizing of the last two axes."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from device_tests.runtimes.coreml.operators.batching import along_first
from device_tests.runtimes.coreml.operators.registry import Array, Unsupported, operator
from device_tests.runtimes.coreml.operators.shapes import require_shape
from device_tests.runtimes.coreml.types import TensorType

Ints = tuple[int, ...]
Sampling = Literal["DEFAULT", "STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "OFFSET_CORNERS", "UNALIGN_CORNERS"]


@operator(batch=along_first)
def resize_bilinear(
    x: Array,
    target_size_height: int = 1,
    target_size_width: int = 1,
    sampling_mode: Sampling = "DEFAULT",
    *,
    expected: TensorType,
) -> Array:
    """Bilinear interpolation to a size."""
    return _bilinear(x, (target_size_height, target_size_width), sampling_mode, expected)


@operator(batch=along_first)
def upsample_bilinear(
    x: Array,
    scale_factor_height: float = 1.0,
    scale_factor_width: float = 1.0,
    align_corners: bool = True,
    *,
    expected: TensorType,
) -> Array:
    """Bilinear interpolation by factors, which are worked out again from the size of the result."""
    sizes = _scaled(x, scale_factor_height, scale_factor_width)
    return _bilinear(x, sizes, "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS", expected)


@operator(batch=along_first)
def resize_nearest_neighbor(
    x: Array, target_size_height: int, target_size_width: int, *, expected: TensorType
) -> Array:
    """The nearest number, for whole factors."""
    return _nearest(x, (target_size_height, target_size_width), expected)


@operator(batch=along_first)
def upsample_nearest_neighbor(
    x: Array, scale_factor_height: float = 1.0, scale_factor_width: float = 1.0, *, expected: TensorType
) -> Array:
    """The nearest number, for whole factors."""
    return _nearest(x, _scaled(x, scale_factor_height, scale_factor_width), expected)


@operator(batch=along_first)
def resize(
    x: Array,
    shape: Ints,
    resized_dims: int,
    interpolation_mode: Literal["LINEAR", "NEAREST_NEIGHBOR"] = "LINEAR",
    sampling_mode: Sampling = "DEFAULT",
    *,
    expected: TensorType,
) -> Array:
    """Either, of the last two axes; 0 keeps a size."""
    if resized_dims != 2 or len(shape) < 2 or x.dtype != np.float32:
        raise Unsupported("other than the last two axes of floating-point numbers")
    sizes = (shape[-2] or x.shape[-2], shape[-1] or x.shape[-1])
    if interpolation_mode == "NEAREST_NEIGHBOR":
        if sampling_mode not in ("DEFAULT", "UNALIGN_CORNERS"):
            raise Unsupported(f"the nearest number with {sampling_mode}")
        return _nearest(x, sizes, expected)
    return _bilinear(x, sizes, sampling_mode, expected)


def _scaled(x: Array, height: float, width: float) -> tuple[int, int]:
    if not (0 < height < 1 << 12 and 0 < width < 1 << 12):
        raise ValueError(f"the factors {height} and {width} are absurd")
    return math.floor(x.shape[-2] * height), math.floor(x.shape[-1] * width)


def _nearest(x: Array, sizes: tuple[int, int], expected: TensorType) -> Array:
    require_shape((*x.shape[:-2], *sizes), expected)
    # For other factors, engines disagree on which number is nearest.
    if sizes[0] % x.shape[-2] or sizes[1] % x.shape[-1]:
        raise Unsupported(f"from {list(x.shape[-2:])} to {list(sizes)}, which is no whole factor")
    rows, columns = np.arange(sizes[0]) * x.shape[-2] // sizes[0], np.arange(sizes[1]) * x.shape[-1] // sizes[1]
    return x[..., rows[:, None], columns]


def _bilinear(x: Array, sizes: tuple[int, int], mode: Sampling, expected: TensorType) -> Array:
    require_shape((*x.shape[:-2], *sizes), expected)
    rows = _weights(x.shape[-2], sizes[0], mode)
    columns = _weights(x.shape[-1], sizes[1], mode)
    return np.matmul(rows, x) @ columns.T


def _weights(size: int, length: int, mode: Sampling) -> Array:
    """float32 [length, size]: what each place of the result takes from each of the argument's."""
    places = np.clip(_places(size, length, mode), 0, size - 1)
    below = np.minimum(np.floor(places).astype(np.int64), max(size - 2, 0))
    share = places - below
    made = np.zeros((length, size), np.float32)
    np.add.at(made, (np.arange(length), below), 1 - share)
    np.add.at(made, (np.arange(length), np.minimum(below + 1, size - 1)), share)
    return made


def _places(size: int, length: int, mode: Sampling) -> Array:
    """float64 [length]: where the results are, in the argument's coordinates (coremltools' ``resize_bilinear``)."""
    steps = np.arange(length, dtype=np.float64)
    if mode == "UNALIGN_CORNERS":
        return (steps + 0.5) * size / length - 0.5
    if mode == "OFFSET_CORNERS":
        return (steps + 0.5) * max(1, size - 1) / length
    if mode == "DEFAULT":
        return steps * size / length
    if length == 1:
        return np.array([(size - 1) / 2 if mode == "ALIGN_CORNERS" else 0.0])
    return steps * (size - 1) / (length - 1)
