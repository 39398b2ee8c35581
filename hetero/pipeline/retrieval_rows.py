"""Choose the test images that a bundle carries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from hetero.data.images import ImageSet
from hetero.metrics.task import RetrievalTask

_ORIGINALS = 600
_ORIGINAL_BYTES = 8 << 20


def limited(
    tasks: Sequence[RetrievalTask], labels: Int64[np.ndarray, " n"], *, queries: int
) -> tuple[Int64[np.ndarray, " m"], tuple[RetrievalTask, ...]]:
    """Choose at most ``queries`` queries, shared evenly between the tasks, and galleries at most ten times as large.

    Galleries keep every image of the queries' classes, so that a smaller gallery never loses a right answer.

    Args:
        tasks: Rows of the test images.
        labels: int64 [n], class of each test image.
        queries: Maximum number of queries in all.

    Returns:
        Rows of the test images to keep, and the tasks as rows of those.
    """
    share = max(1, queries // max(1, len(tasks)))
    shares = [(task, _spread(task.query, share)) for task in tasks]
    parts = [(task, query, _gallery(task.gallery, query, labels, 10 * share)) for task, query in shares]
    rows = np.unique(np.concatenate([part for _, query, gallery in parts for part in (query, gallery)]))
    smaller = tuple(
        RetrievalTask(task.name, np.searchsorted(rows, query), np.searchsorted(rows, gallery), task.exclude_self)
        for task, query, gallery in parts
    )
    return rows, smaller


def originals(
    images: ImageSet, rows: Int64[np.ndarray, " m"], tasks: Sequence[RetrievalTask], *, limit: int = _ORIGINAL_BYTES
) -> dict[int, bytes]:
    """Return the undecoded files of as many queries as fit, chosen at random but always the same ones.

    Args:
        images: The test images.
        rows: Rows that the bundle carries.
        tasks: Tasks as rows of these.
        limit: Maximum bytes in all.

    Returns:
        Files by their place in ``rows``, ascending.
    """
    queries = np.unique(np.concatenate([task.query for task in tasks]))
    files: dict[int, bytes] = {}
    for place in np.random.default_rng(0).permutation(queries).tolist():
        content = images.original(int(rows[place]))
        if content is not None and len(content) <= limit and len(files) < _ORIGINALS:
            files[place] = content
            limit -= len(content)
    return dict(sorted(files.items()))


def _gallery(
    gallery: Int64[np.ndarray, " g"], query: Int64[np.ndarray, " q"], labels: Int64[np.ndarray, " n"], most: int
) -> Int64[np.ndarray, " m"]:
    if len(gallery) <= most:
        return gallery
    relevant = np.isin(labels[gallery], labels[query])
    others = _spread(gallery[~relevant], max(0, most - int(relevant.sum())))
    return np.sort(np.concatenate([gallery[relevant], others]))


def _spread(rows: Int64[np.ndarray, " n"], most: int) -> Int64[np.ndarray, " m"]:
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).round().astype(np.int64)] if most else rows[:0]
