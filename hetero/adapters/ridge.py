"""Ridge regression: the affine map that brings one space nearest to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray
from typing_extensions import Doc

from hetero.adapters.adapter import unit
from hetero.constraints import NotNegative


@dataclass(frozen=True)
class Ridge:
    """An affine map.

    Attributes:
        matrix: float32 [s, t].
        offset: float32 [t].
    """

    matrix: Float32[np.ndarray, "s t"]
    offset: Float32[np.ndarray, " t"]

    @classmethod
    def fit(
        cls,
        source: Float32[np.ndarray, "n s"],
        target: Float32[np.ndarray, "n t"],
        penalty: Annotated[NotNegative, Doc("on the matrix")] = 1e-4,
    ) -> Ridge:
        """Minimise ``mean |x W + c - y|^2 + penalty |W|^2`` in closed form; the offset is not penalised.

        Args:
            source: float32 [n, s], vectors to be mapped.
            target: float32 [n, t], unit vectors of the same images.
            penalty: Weight of the penalty; zero is least squares, with the smallest norm where that is not unique.
        """
        x, y = source.astype(np.float64), target.astype(np.float64)
        centre_x, centre_y = x.mean(axis=0), y.mean(axis=0)
        x, y = x - centre_x, y - centre_y
        if penalty > 0:
            matrix = np.linalg.solve(x.T @ x / len(x) + penalty * np.eye(x.shape[1]), x.T @ y / len(x))
        else:
            matrix = np.linalg.lstsq(x, y, rcond=None)[0]
        return cls(matrix.astype(np.float32), (centre_y - centre_x @ matrix).astype(np.float32))

    def __call__(self, vectors: Float32[np.ndarray, "n s"]) -> Float32[np.ndarray, "n t"]:
        """Map, and return unit vectors."""
        return unit(vectors @ self.matrix + self.offset)

    def arrays(self) -> Mapping[str, NDArray[np.float32]]:
        """Return matrix and offset."""
        return {"matrix": self.matrix, "offset": self.offset}
