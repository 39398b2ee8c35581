"""Lengths of vectors, as precise as the vectors themselves."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Float64

_ROWS = 1 << 16


def lengths(vectors: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
    """Compute the Euclidean length of each row, summed in double precision.

    In single precision the squares of values below 1e-19 vanish and those above 1e19 are infinite: the length would
    be zero or infinite although the vector is neither.

    Args:
        vectors: Floating point [n, d].
    """
    result = np.empty(len(vectors), np.float64)
    for start in range(0, len(vectors), _ROWS):
        rows = slice(start, start + _ROWS)
        result[rows] = np.linalg.norm(vectors[rows].astype(np.float64), axis=1)
    return result


def scaled(vectors: Float[np.ndarray, "n d"], length: Float64[np.ndarray, " n"]) -> Float32[np.ndarray, "n d"]:
    """Divide rows by their lengths, which must not be zero.

    Args:
        vectors: Floating point [n, d].
        length: Length of each row.
    """
    result = np.empty(vectors.shape, np.float32)
    for start in range(0, len(vectors), _ROWS):
        rows = slice(start, start + _ROWS)
        result[rows] = vectors[rows].astype(np.float64) / length[rows, None]
    return result
