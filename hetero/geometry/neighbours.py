"""Nearest neighbours in a cloud of vectors: contrast, duplicates and hubs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from hetero.geometry.sample import SEED, sampled
from hetero.metrics.nearest import search

NEIGHBOURS = 10
NEIGHBOUR_ROWS = 10_000
"""Most vectors whose neighbours are searched; of more, a seeded sample searches itself."""
NEAR = 0.999
"""Cosine from which two vectors that differ are near duplicates."""
_PAIRS = 10_000


@dataclass(frozen=True)
class NeighbourStatistics:
    """Neighbours by cosine.

    Attributes:
        rows: Number of sampled vectors, each of which searches all others.
        nearest: Median cosine of a vector with its nearest neighbour that is not a duplicate; 1 when all are equal.
        random: Median cosine of two vectors drawn at random.
        near_duplicates: Vectors whose nearest neighbour is closer than a cosine of .999 and not equal.
        k: Number of neighbours in the count of hubs.
        hubness: Skewness of the k-occurrences N_k, how often each vector is among the k nearest of another
            (Radovanovic et al., "Hubs in Space", JMLR 11, 2010, section 2.1): about 0 without hubs.
        largest_hub: Largest k-occurrence; k on average.
        never_found: Share of vectors that are among nobody's k nearest.
    """

    rows: int
    nearest: float
    random: float
    near_duplicates: int
    k: int
    hubness: float
    largest_hub: int
    never_found: float

    @property
    def contrast(self) -> float:
        """Position of the nearest neighbour between a random pair's cosine (0) and a cosine of one (1)."""
        return (self.nearest - self.random) / (1 - self.random) if self.random < 1 else 0.0


def neighbour_statistics(unit: Float32[np.ndarray, "n d"]) -> NeighbourStatistics:
    """Compute the neighbour statistics of at least two unit vectors."""
    sample = np.ascontiguousarray(sampled(unit, NEIGHBOUR_ROWS))
    k = min(NEIGHBOURS, len(sample) - 1)
    hits = search(sample, sample, k, exclude=np.arange(len(sample)))
    equal = _is_equal(sample, hits.rows)
    first = np.where(equal.all(axis=1), 0, equal.argmin(axis=1))
    nearest = hits.scores[np.arange(len(sample)), first]
    occurrences = np.bincount(hits.rows.ravel(), minlength=len(sample))
    return NeighbourStatistics(
        rows=len(sample),
        nearest=float(np.median(nearest)),
        random=float(np.median(_random_cosines(sample))),
        near_duplicates=int(((nearest >= NEAR) & ~equal.all(axis=1)).sum()),
        k=k,
        hubness=_skewness(occurrences.astype(np.float64)),
        largest_hub=int(occurrences.max()),
        never_found=float((occurrences == 0).mean()),
    )


def duplicates(vectors: Float32[np.ndarray, "n d"]) -> int:
    """Count the vectors that are equal to an earlier one, bit by bit."""
    # Digests, since the bytes themselves would be a second copy of everything.
    return len(vectors) - len({hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in vectors})


def _is_equal(vectors: Float32[np.ndarray, "m d"], rows: Int64[np.ndarray, "m k"]) -> np.ndarray:
    """Return True for each neighbour of a vector that equals it."""
    return np.stack([(vectors[rows[:, place]] == vectors).all(axis=1) for place in range(rows.shape[1])], axis=1)


def _random_cosines(vectors: Float32[np.ndarray, "m d"]) -> Float64[np.ndarray, " p"]:
    generator = np.random.default_rng(SEED)
    first = generator.integers(len(vectors), size=_PAIRS)
    second = (first + generator.integers(1, len(vectors), size=_PAIRS)) % len(vectors)
    return np.einsum("pd,pd->p", vectors[first], vectors[second], dtype=np.float64)


def _skewness(values: Float64[np.ndarray, " n"]) -> float:
    centred = values - values.mean()
    deviation = np.sqrt(np.mean(centred**2))
    return float(np.mean(centred**3) / deviation**3) if deviation > 0 else 0.0
