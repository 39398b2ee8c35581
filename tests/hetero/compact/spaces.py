"""A parent space, vectors of it, and spaces derived from it."""

from __future__ import annotations

import numpy as np

from hetero.compact.derived import DerivedSpace
from hetero.space import EmbeddingSpace
from tests.hetero.geometry.clouds import low_dimensional

PARENT = EmbeddingSpace.define(defined_by="p", name="cloud", version="1", dimension=16)
OTHER = EmbeddingSpace.define(defined_by="o", name="other", version="1", dimension=16)


def vectors(seed: float = 0) -> np.ndarray:
    return low_dimensional(dimension=16, rank=6, offset=1.5 + seed)


def derived(dimension: int = 8) -> DerivedSpace:
    return DerivedSpace.fit(vectors(), PARENT, dimension)
