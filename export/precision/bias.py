"""Bias correction: rounded weights shift the mean of a layer's output, and its bias compensates the shift.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (arXiv 1906.04721), with
measured instead of derived means of the inputs. It costs no byte. The effect of padding at the edges is ignored.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray


def shift(
    error: Float64[np.ndarray, "out per_group *kernel"], means: Float64[np.ndarray, " channels"]
) -> Float64[np.ndarray, " out"]:
    """Return how far rounding moves the mean of every output channel of a convolution or a fully connected layer.

    Args:
        error: Rounded weights less real ones. Output channels come first, then the input channels of their group.
        means: Mean of every input channel.
    """
    outputs, per_group = error.shape[:2]
    groups = len(means) // per_group
    read_means = np.repeat(means.reshape(groups, per_group), outputs // groups, axis=0)
    return (error.reshape(outputs, per_group, -1).sum(axis=2) * read_means).sum(axis=1)


def dequantised(values: NDArray[np.int8], scale: NDArray[np.float32], axis: int) -> Float64[np.ndarray, "*shape"]:
    """Return real values of symmetric int8 weights.

    Args:
        values: int8, of any shape.
        scale: One number, or one for each index along ``axis``.
        axis: Axis of the channels that have their own scales.
    """
    wide = np.asarray(scale, np.float64).reshape(-1)
    shape = [1] * values.ndim
    if len(wide) > 1:
        shape[axis] = len(wide)
    return values * wide.reshape(shape)
