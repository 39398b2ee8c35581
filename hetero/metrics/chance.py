"""Figures of a gallery in random order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64

from hetero.metrics.task import RetrievalTask


def chance_of_rank_one(labels: Int64[np.ndarray, " n"], tasks: Sequence[RetrievalTask]) -> float:
    """Return the expected ``cmc@1`` of a gallery in random order: the mean over queries of the relevant share."""
    return float(np.mean([share_relevant(labels, task).mean() for task in tasks]))


def share_relevant(labels: Int64[np.ndarray, " n"], task: RetrievalTask) -> Float64[np.ndarray, " queries"]:
    """Return the share of the gallery that is relevant to each query; a query that is left out does not count.

    Args:
        labels: int64 [n], the class of each image.
        task: Rows of these images.
    """
    own = np.isin(task.query, task.gallery) if task.exclude_self else np.zeros(len(task.query), bool)
    classes, sizes = np.unique(labels[task.gallery], return_counts=True)
    size = dict(zip(classes.tolist(), sizes.tolist(), strict=True))
    relevant = np.array([size.get(label, 0) for label in labels[task.query].tolist()])
    return (relevant - own) / (len(task.gallery) - own)
