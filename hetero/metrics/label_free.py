"""The quality of a student's search of the cloud's gallery, measured without labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, Float64, Int64

from hetero.errors import InputError
from hetero.metrics.task import RetrievalTask
from hetero.metrics.top_overlap import nearest

NEIGHBOURS = 10


def neighbour_map(
    student: Float32[np.ndarray, "n d"],
    cloud: Float32[np.ndarray, "n d"],
    centre: Float32[np.ndarray, " d"],
    tasks: Sequence[RetrievalTask],
    *,
    k: int = NEIGHBOURS,
) -> float:
    """Compute average precision at k, where the cloud's own nearest images are the relevant ones.

    The student searches the cloud's gallery as it will in use. The relevant images are the k of the gallery that are
    nearest to the query in the cloud's vectors, once the space's mean is removed from these: with the mean, a few
    images near it are neighbours of all. The figure is ``map@r`` (Musgrave et al., arXiv 2003.08505, with R = k): 1/k
    times the sum over ranks i = 1..k of (precision at i if the i-th is relevant, else 0); the mean over queries, then
    over tasks.

    It ranks the models of a training, and of several methods, about as well as labels of the same images do
    (``benchmarks/label_free_validation.py``). A high cosine with the cloud does not: a student may capture the
    differences between classes and little else.

    Args:
        student: float32 [n, d], the student's unit vectors of all images.
        cloud: float32 [n, d], the cloud's unit vectors of the same images.
        centre: float32 [d], mean of the cloud's training vectors.
        tasks: Rows of these images. No label is used.
        k: Number of neighbours; fewer where a gallery is smaller.

    Returns:
        0 to 1; 1 for the cloud itself with its mean removed.

    Raises:
        InputError: When there is no task.
    """
    if not tasks:
        raise InputError("expected at least one retrieval task, got none")
    centred = cloud - centre
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    relevant = nearest(centred, centred, tasks, k=k)
    hits = nearest(student, cloud, tasks, k=k)
    return float(np.mean([average_precision(*rows).mean() for rows in zip(hits, relevant, strict=True)]))


def average_precision(found: Int64[np.ndarray, "q k"], relevant: Int64[np.ndarray, "q k"]) -> Float64[np.ndarray, " q"]:
    """Compute each query's mean over ranks i of (precision at i if the row at i is relevant, else 0).

    Args:
        found: int64 [q, k], rows of a gallery, nearest first.
        relevant: int64 [q, k], the rows that should be found, in any order.
    """
    right = (found[:, :, None] == relevant[:, None, :]).any(axis=2)
    precision = np.cumsum(right, axis=1) / np.arange(1, found.shape[1] + 1)
    return (precision * right).mean(axis=1)
