"""How classes lie in a cloud of vectors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from hetero.geometry.neighbours import NEIGHBOUR_ROWS
from hetero.geometry.sample import sampled_rows
from hetero.metrics.retrieval import evaluate


@dataclass(frozen=True)
class ClassStatistics:
    """Labels in a space.

    Attributes:
        classes: How many.
        queries: Vectors with another of their class among those looked at; each searches all others.
        cmc_at_1: Share of the queries whose nearest neighbour is of their class.
        map_at_r: See :func:`hetero.metrics.retrieval.evaluate`.
        same: Mean cosine, after the mean is removed, of two vectors of one class.
        other: The same of two vectors of different classes.
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
    """Figures of unit vectors with labels; None when no class has two.

    Args:
        unit: float32 [n, d].
        labels: int64 [n].
        mean: float64 [d], of the vectors.
    """
    rows = sampled_rows(len(unit), NEIGHBOUR_ROWS)
    vectors, chosen = np.ascontiguousarray(unit[rows]), labels[rows]
    query = np.flatnonzero(np.bincount(chosen)[chosen] > 1)
    if not len(query):
        return None
    found = evaluate(vectors[query], vectors, chosen[query], chosen, exclude=query, metrics=("cmc@1", "map@r"))
    same, other = _cosines(vectors, chosen, mean)
    return ClassStatistics(
        classes=len(np.unique(labels)),
        queries=len(query),
        cmc_at_1=float(found["cmc@1"].mean()),
        map_at_r=float(found["map@r"].mean()),
        same=same,
        other=other,
    )


def _cosines(
    vectors: Float32[np.ndarray, "m d"], labels: Int64[np.ndarray, " m"], mean: Float64[np.ndarray, " d"]
) -> tuple[float, float]:
    """Mean cosine of all pairs within a class, and of all other pairs; from sums, so that no pair is looked at."""
    centred = vectors - mean
    # A vector at the mean itself has no direction, and counts as at right angles to all.
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    sums = np.zeros((labels.max() + 1, vectors.shape[1]))
    np.add.at(sums, labels, centred)
    sizes = np.bincount(labels).astype(np.float64)
    own = float(np.square(centred).sum())
    within, pairs_within = float(np.square(sums).sum()) - own, float((sizes * (sizes - 1)).sum())
    every, pairs = float(np.square(sums.sum(axis=0)).sum()) - own, float(len(labels) * (len(labels) - 1))
    between = (every - within) / (pairs - pairs_within) if pairs > pairs_within else 0.0
    return within / pairs_within, between
