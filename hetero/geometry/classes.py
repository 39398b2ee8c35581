"""Statistics of the classes in a cloud of vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from hetero.geometry.neighbours import NEIGHBOUR_ROWS
from hetero.geometry.sample import sampled_rows
from hetero.metrics.retrieval import evaluate


@dataclass(frozen=True)
class ClassStatistics:
    """Figures of the labels in a space.

    Attributes:
        classes: Number of classes.
        queries: Number of sampled vectors with another of their class in the sample; each searches all others.
        cmc_at_1: Share of the queries whose nearest neighbour is of their class.
        map_at_r: See :func:`hetero.metrics.retrieval.evaluate`.
        same: Mean cosine of two vectors of one class, after the mean is removed.
        other: The same for two vectors of different classes.
    """

    classes: int
    queries: int
    cmc_at_1: float
    map_at_r: float
    same: float
    other: float


def class_statistics(
    unit: Float32[np.ndarray, "n d"], labels: Int64[np.ndarray, " n"], mean: Float64[np.ndarray, " d"]
) -> ClassStatistics | None:
    """Compute the figures of unit vectors with labels; None when no class has two.

    Args:
        unit: float32 [n, d], unit vectors.
        labels: int64 [n], classes.
        mean: float64 [d], mean of the vectors.
    """
    rows = sampled_rows(len(unit), NEIGHBOUR_ROWS)
    vectors, sample = np.ascontiguousarray(unit[rows]), labels[rows]
    query = np.flatnonzero(np.bincount(sample)[sample] > 1)
    if not len(query):
        return None
    result = evaluate(vectors[query], vectors, sample[query], sample, exclude=query, metrics=("cmc@1", "map@r"))
    same, other = _cosines(vectors, sample, mean)
    return ClassStatistics(
        classes=len(np.unique(labels)),
        queries=len(query),
        cmc_at_1=float(result["cmc@1"].mean()),
        map_at_r=float(result["map@r"].mean()),
        same=same,
        other=other,
    )


def _cosines(
    vectors: Float32[np.ndarray, "m d"], labels: Int64[np.ndarray, " m"], mean: Float64[np.ndarray, " d"]
) -> tuple[float, float]:
    """Return the mean cosine of pairs within a class, and of all other pairs, from sums and not pair by pair."""
    centred = vectors - mean
    # A vector at the mean has no direction, and counts as orthogonal to all.
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    sums = np.zeros((labels.max() + 1, vectors.shape[1]))
    np.add.at(sums, labels, centred)
    sizes = np.bincount(labels).astype(np.float64)
    own = float(np.square(centred).sum())
    within, pairs_within = float(np.square(sums).sum()) - own, float((sizes * (sizes - 1)).sum())
    every, pairs = float(np.square(sums.sum(axis=0)).sum()) - own, float(len(labels) * (len(labels) - 1))
    between = (every - within) / (pairs - pairs_within) if pairs > pairs_within else 0.0
    return within / pairs_within, between
