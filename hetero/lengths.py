"""Lengths of vectors, as precise as the vectors themselves."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Float64

from hetero.errors import IntegrityError

_ROWS = 1 << 16
_ALREADY_UNIT = 1e-6


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


def unit(vectors: Float[np.ndarray, "n d"], *, what: str) -> Float32[np.ndarray, "n d"]:
    """Scale rows to length one; rows that are of length one already stay the same, bit by bit.

    Args:
        vectors: Floating point [n, d].
        what: Name of the vectors in the message.

    Raises:
        IntegrityError: When a row is not finite, or zero.
    """
    length = lengths(vectors)
    if not (np.isfinite(length) & (length > 0)).all():
        raise IntegrityError(f"{what} hold vectors that are not finite, or zero: they are damaged")
    return scaled(vectors, np.where(np.abs(length - 1) <= _ALREADY_UNIT, 1.0, length))
