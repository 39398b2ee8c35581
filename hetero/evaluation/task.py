"""What is searched in what: the retrieval tasks of a data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class RetrievalTask:
    """Queries and gallery as rows of one set of images.

    Attributes:
        name: For people and files, for instance ``"openmoji>noto"``.
        query: int64 [q], rows of the query images.
        gallery: int64 [g], rows of the gallery images.
        exclude_self: Whether a query's own row is left out of the gallery (leave-one-out).
    """

    name: str
    query: NDArray[np.int64]
    gallery: NDArray[np.int64]
    exclude_self: bool = False


def both_ways(tasks: Sequence[RetrievalTask]) -> tuple[RetrievalTask, ...]:
    """The tasks, and after them each whose gallery is not its queries, with the two exchanged.

    For a small validation set: twice the queries, so half the variance of what models are ranked by.
    """
    turned = [
        dataclasses.replace(task, name=f"{task.name}, turned", query=task.gallery, gallery=task.query)
        for task in tasks
        if not np.array_equal(task.query, task.gallery)
    ]
    return (*tasks, *turned)
