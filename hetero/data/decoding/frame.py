"""The place of a picture in a network's input, which two inputs of one picture must agree on when both are changed.

Every way of resizing centres the picture. So its place in an input is given by its reach from the middle, where 1 is
the input's edge: a padded picture reaches less far along one axis, and a cropped one reaches beyond the edge.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64, Int64

from hetero.preprocessing import Preprocessing


def reach(
    sizes: Int64[np.ndarray, "n 2"] | Float64[np.ndarray, "n 2"], preprocessing: Preprocessing
) -> Float32[np.ndarray, "n 2"]:
    """Return the reach of pictures from the middle of the input, across and down.

    Args:
        sizes: [n, 2], width and height of each picture, in pixels or shares of them.
        preprocessing: Size of the input and manner of resizing.
    """
    target = np.array([preprocessing.width, preprocessing.height], np.float64)
    scale = target / sizes
    side = preprocessing.cut_from
    if preprocessing.resize == "squash":
        return np.broadcast_to(side / target if side else 1.0, sizes.shape).astype(np.float32)
    if side:
        factor = side / sizes.min(axis=1)
    else:
        factor = scale.min(axis=1) if preprocessing.resize == "pad" else scale.max(axis=1)
    return (sizes * factor[:, None] / target).astype(np.float32)


def same_frame(one: Preprocessing, other: Preprocessing) -> bool:
    """Return True if every picture reaches equally far in both inputs, whatever its size."""
    if one.resize != other.resize or _enlarged(one) != _enlarged(other):
        return False
    return one.resize == "squash" or one.width * other.height == one.height * other.width


def _enlarged(preprocessing: Preprocessing) -> tuple[float, float]:
    """Return the share of width and of height that is left when the centre has been cut out; 0 where nothing is cut."""
    side = preprocessing.cut_from
    return (preprocessing.width / side, preprocessing.height / side) if side else (0.0, 0.0)
