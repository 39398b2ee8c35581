"""A seeded sample of rows, for what would take too long for all of them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64

SEED = 0


def sampled_rows(count: int, most: int) -> Int64[np.ndarray, " m"]:
    """All rows, or, of more than ``most``, as many drawn without repetition; in order."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(SEED).choice(count, most, replace=False, shuffle=False))


def sampled(vectors: Float[np.ndarray, "n d"], most: int) -> Float[np.ndarray, "m d"]:
    """The vectors themselves, or, of more than ``most``, a sample of as many rows in their order."""
    return vectors if len(vectors) <= most else vectors[sampled_rows(len(vectors), most)]
