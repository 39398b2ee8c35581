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


def both_ways(tasks: Sequence[RetrievalTask], labels: NDArray[np.int64]) -> tuple[RetrievalTask, ...]:
    """The tasks, and after them each that asks one set of images in another, with the two exchanged.

    For a small validation set: twice the queries, so half the variance of what models are ranked by.

    Args:
        tasks: Those that leave a query's own row out stay as they are.
        labels: int64 [n], of all rows. What has no counterpart among a task's queries is not asked for.
    """
    turned = [(task, task.gallery[np.isin(labels[task.gallery], labels[task.query])]) for task in tasks]
    return (
        *tasks,
        *(
            dataclasses.replace(task, name=f"{task.name}, turned", query=query, gallery=task.query)
            for task, query in turned
            if len(query) and not task.exclude_self
        ),
    )
