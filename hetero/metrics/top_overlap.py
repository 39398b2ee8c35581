"""overlap@k: the share of the k nearest that two models have in common for the same query."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray

from hetero.metrics.nearest import search
from hetero.metrics.retrieval import rows_of_self
from hetero.metrics.task import RetrievalTask


def nearest(
    query_embeddings: Float32[np.ndarray, "n d"],
    gallery_embeddings: Float32[np.ndarray, "n d"],
    tasks: Sequence[RetrievalTask],
    *,
    k: int = 10,
) -> list[Int64[np.ndarray, "_ _"]]:
    """Find the k nearest gallery rows of each query of each task, or the whole gallery where it is smaller.

    Args:
        query_embeddings: float32 [n, d], the query model's vectors of all images.
        gallery_embeddings: float32 [n, d], the gallery model's vectors of the same images.
        tasks: Rows of these images.
        k: Number of gallery rows.
    """
    rows: list[NDArray[np.int64]] = []
    for task in tasks:
        exclude = rows_of_self(task) if task.exclude_self else None
        depth = min(k, len(task.gallery) - task.exclude_self)
        rows.append(search(query_embeddings[task.query], gallery_embeddings[task.gallery], depth, exclude=exclude).rows)
    return rows


def overlap(
    these: Sequence[Int64[np.ndarray, "_ _"]], those: Sequence[Int64[np.ndarray, "_ _"]]
) -> list[Float64[np.ndarray, " _"]]:
    """Compute, for each task, the share of each query's nearest that two models have in common.

    Args:
        these: One model's result of :func:`nearest`.
        those: Another model's result for the same queries and galleries.
    """
    return [
        np.array([len(np.intersect1d(a, b)) / len(a) for a, b in zip(left, right, strict=True)])
        for left, right in zip(these, those, strict=True)
    ]
