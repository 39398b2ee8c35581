"""Procrustes with interpolation: a query moves part of the way from its own vector to the rotated one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray
from typing_extensions import Doc

from hetero.adapters.adapter import unit
from hetero.adapters.procrustes import Procrustes
from hetero.constraints import Share

# Below this sine the arc is as good as a chord.
_STRAIGHT = 1e-6


@dataclass(frozen=True)
class Interpolation:
    """Spherical interpolation (SLERP) between a vector and its rotation.

    It serves galleries of both spaces, for instance half re-embedded: with a share between zero and one a query finds
    entries of either. This implementation interpolates between the query's own vector (truncated or padded with zeros
    to the target's dimension) and its image under :class:`Procrustes`.

    Attributes:
        rotation: float32 [s, t], the rotation of Procrustes.
        share: float32 [], share of the way: 0 leaves the vector, 1 is Procrustes.
    """

    rotation: Float32[np.ndarray, "s t"]
    share: Float32[np.ndarray, ""]

    @classmethod
    def fit(
        cls,
        source: Float32[np.ndarray, "n s"],
        target: Float32[np.ndarray, "n t"],
        share: Annotated[Share, Doc("0 leaves the vector, 1 is the rotation")] = 0.5,
    ) -> Interpolation:
        """Fit the rotation.

        Args:
            source: float32 [n, s], vectors to be mapped.
            target: float32 [n, t], unit vectors of the same images.
            share: Share of the way, 0 to 1.
        """
        return cls(Procrustes.fit(source, target).rotation, np.array(share, np.float32))

    def __call__(self, vectors: Float32[np.ndarray, "n s"]) -> Float32[np.ndarray, "n t"]:
        """Interpolate, and return unit vectors."""
        dimension = self.rotation.shape[1]
        start = np.zeros((len(vectors), dimension), np.float32)
        start[:, : vectors.shape[1]] = vectors[:, :dimension]
        return slerp(unit(start), unit(vectors @ self.rotation), float(self.share))

    def arrays(self) -> Mapping[str, NDArray[np.float32]]:
        """Return rotation and share."""
        return {"rotation": self.rotation, "share": self.share}


def slerp(
    start: Float32[np.ndarray, "n t"], end: Float32[np.ndarray, "n t"], share: float
) -> Float32[np.ndarray, "n t"]:
    """Return the point a share of the way along the great circle of two unit vectors (Shoemake, SIGGRAPH 1985).

    Opposite vectors have no shortest path: the result is the nearer one, or ``end`` at one half.
    """
    a, b = start.astype(np.float64), end.astype(np.float64)
    # The halves of chord and sum keep the angle precise where an arc cosine would not.
    angle = 2 * np.arctan2(np.linalg.norm(a - b, axis=1), np.linalg.norm(a + b, axis=1))[:, None]
    sine = np.sin(angle)
    safe = np.where(sine < _STRAIGHT, 1.0, sine)
    along = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / safe
    nearer = b if share >= 0.5 else a
    straight = np.where(angle < 1.0, (1 - share) * a + share * b, nearer)
    return unit(np.where(sine < _STRAIGHT, straight, along))
