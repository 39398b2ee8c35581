"""The two sides of one search, for verification and for identification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from hetero.errors import InputError
from hetero.metrics.retrieval import rows_of_self
from hetero.metrics.task import RetrievalTask


class Sides(NamedTuple):
    """Queries and a gallery.

    Attributes:
        query: float32 [q, d], vectors of the queries.
        gallery: float32 [g, d], vectors of the gallery.
        query_labels: int64 [q], the class of each query.
        gallery_labels: int64 [g], the class of each gallery image.
        exclude: int64 [q], the gallery row that is the query itself; -1 for none.
    """

    query: Float32[np.ndarray, "q d"]
    gallery: Float32[np.ndarray, "g d"]
    query_labels: Int64[np.ndarray, " q"]
    gallery_labels: Int64[np.ndarray, " g"]
    exclude: Int64[np.ndarray, " q"] | None = None

    @classmethod
    def of(
        cls,
        query_embeddings: Float32[np.ndarray, "n d"],
        gallery_embeddings: Float32[np.ndarray, "n d"],
        labels: Int64[np.ndarray, " n"],
        task: RetrievalTask,
    ) -> Sides:
        """Select a task's rows from the vectors of two models."""
        exclude = rows_of_self(task) if task.exclude_self else None
        query, gallery = query_embeddings[task.query], gallery_embeddings[task.gallery]
        return cls(query, gallery, labels[task.query], labels[task.gallery], exclude)

    def enrolled(self, classes: Int64[np.ndarray, " c"]) -> Sides:
        """Return the same queries, with a gallery of these classes only."""
        rows = np.isin(self.gallery_labels, classes)
        exclude = self.exclude
        if exclude is not None:
            remains = (exclude >= 0) & rows[exclude]
            exclude = np.where(remains, (np.cumsum(rows) - 1)[exclude], -1)
        return self._replace(gallery=self.gallery[rows], gallery_labels=self.gallery_labels[rows], exclude=exclude)


def open_set(tasks: Sequence[Sides], *, seed: int = 0) -> list[Sides]:
    """Turn searches in which every query has a mate into searches in which some have none.

    The classes of the galleries are split at random into halves, and each task is searched twice: in a gallery of one
    half and of the other. So every query is mated once and non-mated once, as with the two galleries of IJB-C.

    Args:
        tasks: At least one.
        seed: Seed of the split.

    Raises:
        InputError: When there is only one class.
    """
    classes = np.unique(np.concatenate([sides.gallery_labels for sides in tasks]))
    if len(classes) < 2:
        raise InputError("no query would be without a mate: the images are all of one class")
    order = np.random.default_rng(seed).permutation(classes)
    halves = order[: len(order) // 2], order[len(order) // 2 :]
    searches = [sides.enrolled(half) for half in halves for sides in tasks]
    return [sides for sides in searches if len(sides.gallery)]
