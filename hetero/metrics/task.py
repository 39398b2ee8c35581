"""The retrieval tasks of a data set: queries, and the gallery that each is searched in."""

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
        name: Name for people and files, for instance ``"openmoji>noto"``.
        query: int64 [q], rows of the query images.
        gallery: int64 [g], rows of the gallery images.
        exclude_self: True if a query's own row is left out of the gallery (leave-one-out).
    """

    name: str
    query: NDArray[np.int64]
    gallery: NDArray[np.int64]
    exclude_self: bool = False


def both_ways(tasks: Sequence[RetrievalTask], labels: NDArray[np.int64]) -> tuple[RetrievalTask, ...]:
    """Return the tasks, followed by each that searches one set of images in another with the two exchanged.

    It serves small validation sets: twice the queries halve the variance of the figures by which models are ranked.

    Args:
        tasks: Retrieval tasks; those that leave a query's own row out are not exchanged.
        labels: int64 [n], classes of all rows. Gallery images of a class without a query are left out of the exchange.
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
