"""Orthogonal Procrustes: the rotation that brings one space nearest to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from hetero.adapters.adapter import unit


@dataclass(frozen=True)
class Procrustes:
    """A rotation (with a reflection, where that is nearer).

    Attributes:
        rotation: float32 [s, t], with orthonormal rows or columns, whichever are shorter.
    """

    rotation: Float32[np.ndarray, "s t"]

    @classmethod
    def fit(cls, source: Float32[np.ndarray, "n s"], target: Float32[np.ndarray, "n t"]) -> Procrustes:
        """Minimise ``|source R - target|`` over orthogonal R: ``U V'`` of the SVD of ``source' target``.

        Schoenemann, Psychometrika 1966. Where dimensions differ, the smaller one is treated as padded with zeros.
        Vectors are not centred, because a cosine does not allow a shift.

        Args:
            source: float32 [n, s], vectors to be mapped.
            target: float32 [n, t], unit vectors of the same images.
        """
        left, _, right = np.linalg.svd(source.astype(np.float64).T @ target.astype(np.float64), full_matrices=False)
        return cls((left @ right).astype(np.float32))

    def __call__(self, vectors: Float32[np.ndarray, "n s"]) -> Float32[np.ndarray, "n t"]:
        """Rotate, and return unit vectors."""
        return unit(vectors @ self.rotation)

    def arrays(self) -> Mapping[str, NDArray[np.float32]]:
        """Return the rotation."""
        return {"rotation": self.rotation}
