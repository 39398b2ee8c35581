"""Angles between embeddings, and the margins that they are compared with."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Float64

from export.bundle.goldens import Goldens

SAME = 1e-6
"""Vectors and scores closer than this are equal: the rounding of float32."""


def cosine_distance(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
    """Return ``1 - cosine`` of each pair of rows, as half the squared chord, far more accurate than a dot product."""
    return 0.5 * ((unit(a) - unit(b)) ** 2).sum(axis=1)


def unit(vectors: Float[np.ndarray, "n d"]) -> Float64[np.ndarray, "n d"]:
    """Return rows scaled to length one, in float64."""
    wide = vectors.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=1, keepdims=True)


def gallery_vectors(goldens: Goldens) -> Float32[np.ndarray, "g d"]:
    """Return the cloud's vectors of every image that is in some task's gallery."""
    return goldens.retrieval_cloud[np.unique(np.concatenate([task.gallery for task in goldens.tasks]))]


def margins(queries: Float[np.ndarray, "n d"], gallery: Float[np.ndarray, "g d"]) -> Float64[np.ndarray, " n"]:
    """Return the angle to the second-nearest gallery vector minus that to the nearest; zero for a gallery of one."""
    if len(gallery) < 2:
        return np.zeros(len(queries))
    cosine = np.clip(unit(queries) @ unit(gallery).T, -1, 1)
    nearest = np.sort(np.arccos(cosine), axis=1)[:, :2]
    return nearest[:, 1] - nearest[:, 0]


def angle(distance: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Return the angle whose cosine is ``1 - distance``, accurate for small ones."""
    return 2 * np.arcsin(np.clip(np.sqrt(distance / 2), 0, 1))
