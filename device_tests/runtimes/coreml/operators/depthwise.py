"""Depthwise convolution: one small kernel for each channel.

The kernels are too small for a matrix product each, and a sum over taps makes as many passes over memory as there are
taps. So a kernel is written as a matrix: of a whole plane for small planes, else of its rows, one for each row of the
kernel, whose products are summed. Most entries are zeros, yet a product with them is several times faster than passes
over memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from device_tests.runtimes.coreml.operators.registry import Array
from device_tests.runtimes.coreml.operators.shapes import padded

Ints = tuple[int, ...]
Pairs = list[tuple[int, int]]

_SMALL_PLANE = 100
_WIDEST_ROW = 128
# Number of values that one step works on: they stay in the cache.
_STEP = 1 << 17


def suits_depthwise(weight: Array, groups: int, dilations: Ints) -> bool:
    """Return True if :func:`depthwise` computes such a convolution."""
    return weight.ndim == 4 and weight.shape[1] == 1 and groups == weight.shape[0] > 1 and dilations == (1, 1)


def depthwise(x: Array, weight: Array, strides: Ints, padding: Pairs, sizes: Ints, memo: dict[Any, Any]) -> Array:
    """Return [c, n, *sizes] of ``x`` [n, c, h, w] and ``weight`` [c, 1, kh, kw].

    Args:
        x: The images.
        weight: The kernels.
        strides: Strides of both axes.
        padding: Padding before and after, of both axes.
        sizes: Size of the result.
        memo: Keeps the matrices from one call to the next.
    """
    channels, plane = x.swapaxes(0, 1), x.shape[2:]
    # Zeros in a matrix would turn infinities into NaN, even beyond the kernel's reach.
    finite = bool(np.isfinite(x.max(initial=0)) and np.isfinite(x.min(initial=0)))
    if not finite or plane[1] > _WIDEST_ROW:
        return _tap_by_tap(channels, weight, strides, padding, sizes)
    if "rows" not in memo:
        memo["rows"] = _row_matrices(weight, plane[1], strides[1], padding[1][0], sizes[1])
    if plane[0] * plane[1] > _SMALL_PLANE:
        return _row_by_row(channels, memo["rows"], strides[0], padding[0][0], sizes)
    if "planes" not in memo:
        memo["planes"] = _plane_matrices(memo["rows"], plane[0], strides[0], padding[0][0], sizes)
    flat = np.matmul(channels.reshape(*channels.shape[:2], -1), memo["planes"])
    return flat.reshape(*channels.shape[:2], *sizes)


def _row_matrices(weight: Array, width: int, stride: int, before: int, length: int) -> Array:
    """Return [c, kh, w, ow]: matrices from a row of the argument to its contribution to a row of the result."""
    matrices = np.zeros((weight.shape[0], weight.shape[2], width, length), np.float32)
    for place in range(length):
        for column in range(weight.shape[3]):
            source = place * stride + column - before
            if 0 <= source < width:
                matrices[:, :, source, place] += weight[:, 0, :, column]
    return matrices


def _plane_matrices(rows: Array, height: int, stride: int, before: int, sizes: Ints) -> Array:
    """Return [c, h * w, oh * ow]: matrices from a plane of the argument to one of the result."""
    channels, taps, width, length = rows.shape
    matrices = np.zeros((channels, height, width, sizes[0], length), np.float32)
    for place in range(sizes[0]):
        for tap in range(taps):
            source = place * stride + tap - before
            if 0 <= source < height:
                matrices[:, source, :, place] += rows[:, tap]
    return matrices.reshape(channels, height * width, -1)


def _row_by_row(channels: Array, rows: Array, stride: int, before: int, sizes: Ints) -> Array:
    _, taps, width, length = rows.shape
    images, height = channels.shape[1:3]
    result = np.zeros((len(channels), images, *sizes), np.float32)
    step = max(1, _STEP // max(1, taps * images * height * length))
    for first in range(0, len(channels), step):
        part = slice(first, first + step)
        terms = np.matmul(channels[part].reshape(-1, 1, images * height, width), rows[part])
        terms = terms.reshape(-1, taps, images, height, length)
        for tap in range(taps):
            # The rows of the result that this tap contributes to, and the rows of the argument that it reads for them.
            start = max(0, -((tap - before) // stride))
            stop = min(sizes[0], (height - 1 - tap + before) // stride + 1)
            if start < stop:
                source = start * stride + tap - before
                result[part, :, start:stop] += terms[
                    :, tap, :, source : source + (stop - start - 1) * stride + 1 : stride
                ]
    return result


def _tap_by_tap(channels: Array, weight: Array, strides: Ints, padding: Pairs, sizes: Ints) -> Array:
    around = padded(channels, [(0, 0), (0, 0), *padding])
    result = np.zeros((*channels.shape[:2], *sizes), np.float32)
    for row, column in np.ndindex(weight.shape[2:]):
        rows = slice(row, row + (sizes[0] - 1) * strides[0] + 1, strides[0])
        columns = slice(column, column + (sizes[1] - 1) * strides[1] + 1, strides[1])
        result += around[:, :, rows, columns] * weight[:, 0, row, column].reshape(-1, 1, 1, 1)
    return result
