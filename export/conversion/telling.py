"""The power of golden images to tell models apart: if all have nearly one embedding, agreement proves nothing."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float, Float64

SMALLEST_DRIFT = 1e-6
"""``1 - cosine`` that a float32 file may drift from torch, the strictest limit on any file."""


def nearest_other(vectors: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
    """Return ``1 - cosine`` between each vector and the nearest other one; zeros for a single vector.

    Half the squared chord: near one, the cosine of a dot product is lost in rounding.
    """
    unit = _unit(vectors)
    if len(unit) < 2:
        return np.zeros(len(unit))
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    return 0.5 * ((unit - unit[cosine.argmax(axis=1)]) ** 2).sum(axis=1)


def mistaken(these: Float[np.ndarray, "n d"], torch: Float[np.ndarray, "n d"]) -> Bool[np.ndarray, " _"]:
    """Return the images whose vectors by a file are nearer to torch's vector of another image than to their own.

    Images whose nearest other one has the same vector, up to rounding, cannot be told apart and are left out.
    """
    cosine = _unit(these) @ _unit(torch).T
    own = np.diagonal(cosine).copy()
    np.fill_diagonal(cosine, -np.inf)
    return (cosine.max(axis=1) >= own)[nearest_other(torch) > SMALLEST_DRIFT]


def room(embeddings: Float[np.ndarray, "n d"]) -> float:
    """Return the room between golden images: the median ``1 - cosine`` with the nearest other one, in torch."""
    return float(np.median(nearest_other(embeddings)))


def tells(room: float, allowed: float = SMALLEST_DRIFT) -> bool:
    """Return True if golden images with this room tell models apart.

    They do if at least half of them are more than twice as far from their nearest other one, as an angle, as a file
    may drift. Then no vector within the allowed drift is near two images at once (triangle inequality).

    Args:
        room: The result of :func:`room`.
        allowed: ``1 - cosine`` that a file may drift.
    """
    return degrees(room) > 2 * degrees(allowed)


def degrees(distance: float) -> float:
    """Return the angle whose cosine is ``1 - distance``, accurate for small ones."""
    return math.degrees(2 * math.asin(min(1.0, math.sqrt(max(0.0, distance) / 2))))


def why_not(room: float, allowed: float = SMALLEST_DRIFT) -> str:
    """Explain for people why golden images cannot tell models apart."""
    return (
        f"the golden images cannot tell models apart: half of them are within {degrees(room):.2g} degrees of another "
        f"one's embedding, where {degrees(allowed):.2g} of drift are allowed"
    )


def _unit(vectors: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, "n d"]:
    wide = vectors.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)
