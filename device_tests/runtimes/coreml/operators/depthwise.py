"""Depthwise convolution: one small kernel for each channel.

Too small to be worth a matrix product each, and as many passes over memory as taps when summed up one by one. So a
kernel is written as a matrix: of a whole plane for small planes, else of its rows, one for each row of the kernel,
whose products are summed. Most entries are zeros, yet a product with them is several times as quick as passes over
memory.
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
# Numbers that one step works on: they stay in the cache.
_STEP = 1 << 17


def suits_depthwise(weight: Array, groups: int, dilations: Ints) -> bool:
    """Whether :func:`depthwise` computes such a convolution."""
    return weight.ndim == 4 and weight.shape[1] == 1 and groups == weight.shape[0] > 1 and dilations == (1, 1)


def depthwise(x: Array, weight: Array, strides: Ints, padding: Pairs, sizes: Ints, memo: dict[Any, Any]) -> Array:
    """[c, n, *sizes] of ``x`` [n, c, h, w] and ``weight`` [c, 1, kh, kw].

    Args:
        x: The images.
        weight: The kernels.
        strides: Of both axes.
        padding: Before and after, of both axes.
        sizes: Of the result.
        memo: Keeps the matrices from one call to the next.
    """
    channels, plane = x.swapaxes(0, 1), x.shape[2:]
    # Zeros in a matrix would turn what is not finite into numbers that are none, where the kernel does not even reach.
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
    """[c, kh, w, ow]: from a row of the argument to what it adds to a row of the result."""
    made = np.zeros((weight.shape[0], weight.shape[2], width, length), np.float32)
    for place in range(length):
        for column in range(weight.shape[3]):
            seen = place * stride + column - before
            if 0 <= seen < width:
                made[:, :, seen, place] += weight[:, 0, :, column]
    return made


def _plane_matrices(rows: Array, height: int, stride: int, before: int, sizes: Ints) -> Array:
    """[c, h * w, oh * ow]: from a plane of the argument to one of the result."""
    channels, taps, width, length = rows.shape
    made = np.zeros((channels, height, width, sizes[0], length), np.float32)
    for place in range(sizes[0]):
        for tap in range(taps):
            seen = place * stride + tap - before
            if 0 <= seen < height:
                made[:, seen, :, place] += rows[:, tap]
    return made.reshape(channels, height * width, -1)


def _row_by_row(channels: Array, rows: Array, stride: int, before: int, sizes: Ints) -> Array:
    _, taps, width, length = rows.shape
    images, height = channels.shape[1:3]
    made = np.zeros((len(channels), images, *sizes), np.float32)
    step = max(1, _STEP // max(1, taps * images * height * length))
    for first in range(0, len(channels), step):
        part = slice(first, first + step)
        terms = np.matmul(channels[part].reshape(-1, 1, images * height, width), rows[part])
        terms = terms.reshape(-1, taps, images, height, length)
        for tap in range(taps):
            # The rows of the result that this tap reaches, and the rows of the argument that it reads for them.
            start = max(0, -((tap - before) // stride))
            stop = min(sizes[0], (height - 1 - tap + before) // stride + 1)
            if start < stop:
                read = start * stride + tap - before
                made[part, :, start:stop] += terms[:, tap, :, read : read + (stop - start - 1) * stride + 1 : stride]
    return made


def _tap_by_tap(channels: Array, weight: Array, strides: Ints, padding: Pairs, sizes: Ints) -> Array:
    around = padded(channels, [(0, 0), (0, 0), *padding])
    made = np.zeros((*channels.shape[:2], *sizes), np.float32)
    for row, column in np.ndindex(weight.shape[2:]):
        rows = slice(row, row + (sizes[0] - 1) * strides[0] + 1, strides[0])
        columns = slice(column, column + (sizes[1] - 1) * strides[1] + 1, strides[1])
        made += around[:, :, rows, columns] * weight[:, 0, row, column].reshape(-1, 1, 1, 1)
    return made
