"""Depthwise convolution: one small kernel for each channel."""

from __future__ import annotations

import numpy as np

from device_tests.runtimes.coreml.operators.registry import Array

Ints = tuple[int, ...]


def suits_depthwise(weight: Array, groups: int, dilations: Ints) -> bool:
    """Whether :func:`depthwise` computes such a convolution."""
    return weight.ndim == 4 and weight.shape[1] == 1 and groups == weight.shape[0] > 1 and dilations == (1, 1)


def depthwise(x: Array, weight: Array, strides: Ints, padding: list[tuple[int, int]], sizes: Ints) -> Array:
    """[c, n, *sizes] of ``x`` [n, c, h, w] and ``weight`` [c, 1, kh, kw], summed tap by tap.

    Channel by channel, so that all that the taps read again and again stays in the cache.
    """
    channels = np.pad(np.moveaxis(x, 1, 0), [(0, 0), (0, 0), *padding])
    made = np.empty((x.shape[1], x.shape[0], *sizes), np.float32)
    height, width = weight.shape[2:]
    step = max(1, 65536 // max(1, made[0].size))
    term = np.empty_like(made[:step])
    for first in range(0, len(made), step):
        part, sums = channels[first : first + step], made[first : first + step]
        product = term[: len(part)]
        for row in range(height):
            for column in range(width):
                seen = part[
                    :,
                    :,
                    row : row + (sizes[0] - 1) * strides[0] + 1 : strides[0],
                    column : column + (sizes[1] - 1) * strides[1] + 1 : strides[1],
                ]
                tap = weight[first : first + step, 0, row, column].reshape(-1, 1, 1, 1)
                if row == column == 0:
                    np.multiply(seen, tap, out=sums)
                else:
                    np.multiply(seen, tap, out=product)
                    sums += product
    return made
