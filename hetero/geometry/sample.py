"""A seeded sample of rows, for figures that would take too long to compute for all of them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64

from hetero.data.embeddings.mapped import MappedVectors

SEED = 0


def sampled_rows(count: int, most: int) -> Int64[np.ndarray, " m"]:
    """Return all rows, or ``most`` of them drawn without repetition where there are more; in order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(SEED).choice(count, most, replace=False, shuffle=False))


def sampled(vectors: Float[np.ndarray, "n d"] | MappedVectors, most: int) -> Float[np.ndarray, "m d"] | MappedVectors:
    """Return the vectors themselves, or a sample of ``most`` rows in order where there are more."""
    return vectors if len(vectors) <= most else vectors[sampled_rows(len(vectors), most)]
