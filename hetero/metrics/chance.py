"""What a gallery in random order would give."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from hetero.metrics.task import RetrievalTask


def chance_of_rank_one(labels: Int64[NDArray[np.int64], " n"], tasks: Sequence[RetrievalTask]) -> float:
    """Expected ``cmc@1`` of a gallery in random order: the share of relevant images, averaged over queries."""
    return float(np.mean([share_relevant(labels, task).mean() for task in tasks]))


def share_relevant(
    labels: Int64[NDArray[np.int64], " n"], task: RetrievalTask
) -> Float64[NDArray[np.float64], " queries"]:
    """The share of the gallery that is relevant to each query; the query itself, where it is left out, counts not.

    Args:
        labels: int64 [n], the class of each image.
        task: Rows of these images.
    """
    own = np.isin(task.query, task.gallery) if task.exclude_self else np.zeros(len(task.query), bool)
    classes, sizes = np.unique(labels[task.gallery], return_counts=True)
    size = dict(zip(classes.tolist(), sizes.tolist(), strict=True))
    relevant = np.array([size.get(label, 0) for label in labels[task.query].tolist()])
    return (relevant - own) / (len(task.gallery) - own)
