"""Sizes computed before any values, so that a damaged program cannot request absurd amounts of memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from device_tests.runtimes.coreml.types import TensorType

Padding = Literal["valid", "same", "same_lower", "custom"]


def require_shape(shape: tuple[int, ...], expected: TensorType) -> None:
    """Refuse a result that does not have the declared shape.

    Raises:
        ValueError: If it does not.
    """
    if not expected.accepts(shape):
        raise ValueError(f"it gives the shape {list(shape)}, declared is {expected}")


def require_axes(axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """Return axes counted from the front.

    Raises:
        ValueError: If one does not exist, or is named twice.
    """
    if any(not -rank <= axis < rank for axis in axes):
        raise ValueError(f"the axes {list(axes)} do not exist in {rank} dimensions")
    positive = tuple(axis % rank for axis in axes)
    if len({*positive}) < len(positive):
        raise ValueError(f"the axes {list(axes)} are named twice")
    return positive


def window_padding(
    pad_type: Padding,
    pad: tuple[int, ...] | None,
    sizes: tuple[int, ...],
    extents: tuple[int, ...],
    strides: tuple[int, ...],
) -> list[tuple[int, int]]:
    """Return the padding before and after each spatial dimension.

    Args:
        pad_type: ``same`` pads so that the result is ``ceil(size / stride)`` long, an odd number more at the end;
            ``same_lower`` more at the start.
        pad: For ``custom``: before and after, a pair for each dimension.
        sizes: Sizes of the spatial dimensions.
        extents: Extents of the window, dilation included.
        strides: Strides of the window.

    Raises:
        ValueError: If the numbers are inconsistent.
    """
    rank = len(sizes)
    if len(extents) != rank or len(strides) != rank or min((*extents, *strides), default=1) < 1:
        raise ValueError(f"windows of {list(extents)} with strides {list(strides)} do not fit {rank} dimensions")
    if pad_type == "valid":
        return [(0, 0)] * rank
    if pad_type == "custom":
        if pad is None or len(pad) != 2 * rank or min(pad, default=0) < 0 or max(pad, default=0) > 1 << 16:
            raise ValueError(f"the padding {pad} does not fit {rank} dimensions")
        return [(pad[2 * axis], pad[2 * axis + 1]) for axis in range(rank)]
    totals = [
        max(0, (math.ceil(size / stride) - 1) * stride + extent - size)
        for size, extent, stride in zip(sizes, extents, strides, strict=True)
    ]
    upper = pad_type == "same"
    return [(total // 2, total - total // 2) if upper else (total - total // 2, total // 2) for total in totals]


def padded(x: NDArray[Any], pairs: Sequence[tuple[int, int]], value: float = 0.0) -> NDArray[Any]:
    """Pad both ends of each axis, keeping the order of axes in memory.

    Args:
        x: An array.
        pairs: Padding before and after, for each axis.
        value: Value of the padding.
    """
    shape = tuple(size + before + after for size, (before, after) in zip(x.shape, pairs, strict=True))
    result = np.empty_like(x, shape=shape)
    result[...] = value
    inner = tuple(slice(before, before + size) for size, (before, _) in zip(x.shape, pairs, strict=True))
    result[inner] = x
    return result
