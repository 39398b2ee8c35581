"""Where a picture lies in a network's input: what two inputs of one picture must agree on when both are changed.

Every way of resizing centres the picture. So its place in an input is told by how far it reaches from the middle, where
1 is the input's edge: a picture that was padded reaches less far along one axis, one that was cut reaches beyond.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int64

from hetero.preprocessing import Preprocessing


def reach(sizes: Int64[np.ndarray, "n 2"], preprocessing: Preprocessing) -> Float32[np.ndarray, "n 2"]:
    """How far pictures reach from the middle of the input, across and down.

    Args:
        sizes: int64 [n, 2], width and height of each picture in pixels.
        preprocessing: How they are fitted to the input.
    """
    target = np.array([preprocessing.width, preprocessing.height], np.float64)
    scale = target / sizes
    if preprocessing.resize == "squash":
        return np.ones(sizes.shape, np.float32)
    kept = scale.min(axis=1) if preprocessing.resize == "pad" else scale.max(axis=1)
    return (sizes * kept[:, None] / target).astype(np.float32)


def same_frame(one: Preprocessing, other: Preprocessing) -> bool:
    """True if every picture reaches equally far in both inputs, whatever its size."""
    return one.resize == other.resize and (
        one.resize == "squash" or one.width * other.height == one.height * other.width
    )
