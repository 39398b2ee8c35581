"""Bias correction: rounded weights shift the mean of what a layer gives, and its bias takes the shift back.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (arXiv 1906.04721), with means of
the inputs that are measured instead of derived. It costs no byte. What padding adds at the edges is left out.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray


def shift(
    error: Float64[NDArray[np.float64], "out per_group *kernel"], means: Float64[NDArray[np.float64], " channels"]
) -> Float64[NDArray[np.float64], " out"]:
    """How far rounding moves the mean of every output channel of a convolution or a fully connected layer.

    Args:
        error: Rounded weights less real ones. Output channels come first, then the input channels of their group.
        means: Mean of every input channel.
    """
    outputs, per_group = error.shape[:2]
    groups = len(means) // per_group
    seen = np.repeat(means.reshape(groups, per_group), outputs // groups, axis=0)
    return (error.reshape(outputs, per_group, -1).sum(axis=2) * seen).sum(axis=1)


def dequantised(
    values: NDArray[np.int8], scale: NDArray[np.float32], axis: int
) -> Float64[NDArray[np.float64], "*shape"]:
    """Real values of symmetric int8 weights.

    Args:
        values: int8, of any shape.
        scale: One number, or one for each place along ``axis``.
        axis: Of the channels that have scales of their own.
    """
    wide = np.asarray(scale, np.float64).reshape(-1)
    shape = [1] * values.ndim
    if len(wide) > 1:
        shape[axis] = len(wide)
    return values * wide.reshape(shape)
