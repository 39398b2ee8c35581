"""What a query model's vectors are compared with: one search, for verification and for identification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from hetero.errors import InputError
from hetero.metrics.retrieval import rows_of_self
from hetero.metrics.task import RetrievalTask


class Sides(NamedTuple):
    """Queries and a gallery.

    Attributes:
        query: float32 [q, d].
        gallery: float32 [g, d].
        query_labels: int64 [q].
        gallery_labels: int64 [g].
        exclude: int64 [q], the gallery row that is the query itself; -1 for none.
    """

    query: Float32[NDArray[np.float32], "q d"]
    gallery: Float32[NDArray[np.float32], "g d"]
    query_labels: Int64[NDArray[np.int64], " q"]
    gallery_labels: Int64[NDArray[np.int64], " g"]
    exclude: Int64[NDArray[np.int64], " q"] | None = None

    @classmethod
    def of(
        cls,
        query_embeddings: Float32[NDArray[np.float32], "n d"],
        gallery_embeddings: Float32[NDArray[np.float32], "n d"],
        labels: Int64[NDArray[np.int64], " n"],
        task: RetrievalTask,
    ) -> Sides:
        """A task's rows of the images that two models embedded."""
        exclude = rows_of_self(task) if task.exclude_self else None
        query, gallery = query_embeddings[task.query], gallery_embeddings[task.gallery]
        return cls(query, gallery, labels[task.query], labels[task.gallery], exclude)

    def enrolled(self, classes: Int64[NDArray[np.int64], " c"]) -> Sides:
        """The same queries, in a gallery of these classes only."""
        there = np.isin(self.gallery_labels, classes)
        exclude = self.exclude
        if exclude is not None:
            known = (exclude >= 0) & there[exclude]
            exclude = np.where(known, (np.cumsum(there) - 1)[exclude], -1)
        return self._replace(gallery=self.gallery[there], gallery_labels=self.gallery_labels[there], exclude=exclude)


def open_set(tasks: Sequence[Sides], *, seed: int = 0) -> list[Sides]:
    """Make of searches in which every query has a mate ones in which some have none.

    The classes of the galleries are split at random in halves, and each task is asked twice: in a gallery of the one
    half and of the other. So every query is mated once and non-mated once, as with the two galleries of IJB-C.

    Args:
        tasks: At least one.
        seed: Of the split.

    Raises:
        InputError: When there is one class only.
    """
    classes = np.unique(np.concatenate([sides.gallery_labels for sides in tasks]))
    if len(classes) < 2:
        raise InputError("no query would be without a mate: the images are all of one class")
    drawn = np.random.default_rng(seed).permutation(classes)
    halves = drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]
    asked = [sides.enrolled(half) for half in halves for sides in tasks]
    return [sides for sides in asked if len(sides.gallery)]
