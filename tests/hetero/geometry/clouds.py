"""Synthetic clouds of vectors."""

from __future__ import annotations

import numpy as np


def rotation(dimension: int, seed: int) -> np.ndarray:
    """A random orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(dimension, dimension)))[0]


def low_dimensional(count: int = 400, dimension: int = 32, rank: int = 4, offset: float = 1.5) -> np.ndarray:
    """Unit vectors that spread in ``rank`` directions around a mean that is not zero, in a frame of no one's."""
    generator = np.random.default_rng(0)
    vectors = np.zeros((count, dimension))
    vectors[:, 1 : rank + 1] = generator.normal(size=(count, rank))
    vectors[:, 0] = offset
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors @ rotation(dimension, 1)).astype(np.float32)


def isotropic(count: int = 2000, dimension: int = 16) -> np.ndarray:
    """Unit vectors without any preferred direction."""
    vectors = np.random.default_rng(2).normal(size=(count, dimension))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
