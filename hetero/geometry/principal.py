"""Principal directions: those in which a cloud of vectors spreads most (principal component analysis)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from hetero.data.embeddings.mapped import MappedVectors
from hetero.errors import InputError
from hetero.geometry.sample import sampled

COVARIANCE_ROWS = 1 << 16
"""Most vectors in the covariance, which is computed from a seeded sample of more; the mean is always that of all."""
NO_ENERGY = 1e-12
"""Largest sum of variances at which unit vectors count as equal."""
_CHUNK = 4096


@dataclass(frozen=True)
class Spread:
    """The distribution of vectors around their mean.

    Attributes:
        mean: float64 [d], mean of the vectors.
        variances: float64 [r], variances along the principal directions, largest first; r is the smaller of d and the
            number of vectors minus one, since no more can differ from zero.
        directions: float64 [d, r], orthonormal columns, each with a positive entry of largest size.
        covariance_rows: Number of vectors that the covariance was computed from.
    """

    mean: Float64[np.ndarray, " d"]
    variances: Float64[np.ndarray, " r"]
    directions: Float64[np.ndarray, "d r"]
    covariance_rows: int

    @property
    def dimension(self) -> int:
        """Dimension of each vector."""
        return len(self.mean)

    @property
    def effective_dimension(self) -> float:
        """Participation ratio of the variances, (sum v)^2 / sum v^2; 0 where all vectors are equal."""
        squares = float(np.square(self.variances).sum())
        return float(self.variances.sum()) ** 2 / squares if squares > NO_ENERGY**2 else 0.0

    def leading(self, count: int) -> PrincipalDirections:
        """Return the directions of largest variance.

        Raises:
            InputError: When there are fewer directions.
        """
        if not 1 <= count <= len(self.variances):
            raise InputError(
                f"expected 1 to {len(self.variances)} principal directions, one less than there are vectors and no "
                f"more than there are dimensions, got {count}"
            )
        return PrincipalDirections(self.mean, self.directions[:, :count], np.sqrt(self.variances[:count]))


@dataclass(frozen=True)
class PrincipalDirections:
    """The leading directions of a cloud of vectors: ``v`` is close to ``mean + basis basis^T (v - mean)``.

    Attributes:
        mean: float64 [d], mean of the vectors.
        basis: float64 [d, k], orthonormal columns, the one of largest variance first.
        std: float64 [k], standard deviation of each coefficient.
    """

    mean: Float64[np.ndarray, " d"]
    basis: Float64[np.ndarray, "d k"]
    std: Float64[np.ndarray, " k"]

    @property
    def count(self) -> int:
        """Number of directions."""
        return len(self.std)


def spread(vectors: Float[np.ndarray, "n d"] | MappedVectors) -> Spread:
    """Compute mean and principal directions, by the eigenvectors of the covariance in double precision.

    Equal vectors give equal directions, including signs; for directions with equal variance only the plane is defined.

    Args:
        vectors: Floating point [n, d], n at least 2. They are read in chunks, and may be a memory map.

    Raises:
        InputError: For fewer than two vectors.
    """
    if len(vectors) < 2:
        raise InputError(f"a covariance needs at least two vectors, got {len(vectors)}")
    mean = mean_vector(vectors)
    sample = sampled(vectors, COVARIANCE_ROWS)
    squares = np.zeros((vectors.shape[1], vectors.shape[1]))
    for start in range(0, len(sample), _CHUNK):
        centred = sample[start : start + _CHUNK].astype(np.float64) - mean
        squares += centred.T @ centred
    variances, directions = np.linalg.eigh(squares / len(sample))
    descending = slice(None, -min(vectors.shape[1], len(sample) - 1) - 1, -1)
    directions = directions[:, descending]
    signs = np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
    # Rounding may leave zero variances slightly negative.
    return Spread(mean, np.maximum(variances[descending], 0.0), directions * signs, len(sample))


def principal_directions(vectors: Float[np.ndarray, "n d"], count: int) -> PrincipalDirections:
    """Compute the leading principal directions of a cloud of vectors; see :func:`spread`.

    Args:
        vectors: Floating point [n, d].
        count: Number of directions: at most d, and fewer than n.

    Raises:
        InputError: When there are fewer directions.
    """
    return spread(vectors).leading(count)


def mean_vector(vectors: Float[np.ndarray, "n d"] | MappedVectors) -> Float64[np.ndarray, " d"]:
    """Compute the mean of vectors in double precision, in parts: the same wherever the vectors lie.

    Args:
        vectors: Floating point [n, d], at least one.
    """
    starts = range(0, len(vectors), _CHUNK)
    sums = [vectors[start : start + _CHUNK].sum(axis=0, dtype=np.float64) for start in starts]
    return np.sum(sums, axis=0) / len(vectors)
