"""Retrieval tasks from labels, views and roles: which images search which."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int64
from numpy.typing import NDArray

from hetero.data.config import Protocol
from hetero.errors import InputError
from hetero.metrics.task import RetrievalTask

Chosen = Literal["cross-view", "leave-one-out", "query-gallery", "own-copy"]
COPY_VIEWS = ("original", "altered")
"""Views of a split without labels: its images, followed by an altered copy of each."""


@dataclass(frozen=True)
class Roles:
    """Labels, views and roles of the images of one split.

    Attributes:
        labels: int64 [n].
        views: int64 [n], index into ``view_names``.
        view_names: One name when the data has no views.
        is_query: bool [n]; None when the data does not say.
        is_gallery: bool [n]; None when the data does not say.
    """

    labels: Int64[np.ndarray, " n"]
    views: Int64[np.ndarray, " n"]
    view_names: tuple[str, ...] = ("",)
    is_query: Bool[np.ndarray, " n"] | None = None
    is_gallery: Bool[np.ndarray, " n"] | None = None


@dataclass(frozen=True)
class Protocolled:
    """The tasks of a split, its protocol, and the queries left out.

    Attributes:
        protocol: The protocol used.
        tasks: At least one, each with at least one query.
        dropped: Queries left out because no gallery image shares their class, by task.
    """

    protocol: Chosen
    tasks: tuple[RetrievalTask, ...]
    dropped: dict[str, int]


def choose(protocol: Protocol, roles: Roles) -> Chosen:
    """Resolve ``auto``: separate query and gallery images if the data names them, else views, else leave-one-out.

    Raises:
        InputError: When the data lacks views or roles that the protocol needs.
    """
    if protocol == "auto":
        if roles.is_query is not None:
            return "query-gallery"
        return "cross-view" if len(roles.view_names) > 1 else "leave-one-out"
    if protocol == "query-gallery" and roles.is_query is None:
        raise InputError(
            "protocol query-gallery: the data does not say which images are queries; put them in folders "
            "test/query and test/gallery, or fill is_query and is_gallery in a CSV, or use leave-one-out"
        )
    if protocol == "cross-view" and len(roles.view_names) < 2:
        raise InputError(
            "protocol cross-view: the data has one view only; put images in folders CLASS/VIEW, "
            "or fill the column view in a CSV, or use leave-one-out"
        )
    return protocol


def own_copy_tasks(images: int, *, where: str) -> Protocolled:
    """Build the task of a split without labels, where an altered copy of each image searches for the image.

    Args:
        images: Number of images; their copies follow in the same order (see :mod:`hetero.data.augmentation.altered`).
        where: Name of the split in error messages.

    Raises:
        InputError: When there are fewer than two images.
    """
    if images < 2:
        raise InputError(f"{where}: expected at least two images, found {images}; one would always be found")
    rows = np.arange(images, dtype=np.int64)
    return Protocolled("own-copy", (RetrievalTask(">".join(COPY_VIEWS[::-1]), rows + images, rows),), {})


def make_tasks(protocol: Chosen, roles: Roles, *, where: str) -> Protocolled:
    """Build the tasks of one split.

    A query without any other gallery image of its class can only fail, so it is left out and counted.

    Args:
        protocol: The result of :func:`choose`.
        roles: Roles of the split's images.
        where: Name of the split in error messages.

    Raises:
        InputError: When no query has a relevant gallery image.
    """
    candidates = _candidates(protocol, roles)
    tasks: list[RetrievalTask] = []
    dropped: dict[str, int] = {}
    for task in candidates:
        answerable = _answerable(task, roles.labels)
        if missing := int((~answerable).sum()):
            dropped[task.name] = missing
        if answerable.any():
            tasks.append(RetrievalTask(task.name, task.query[answerable], task.gallery, task.exclude_self))
    if not tasks:
        raise InputError(
            f"{where}: protocol {protocol} finds no query with another gallery image of its class among "
            f"{len(roles.labels)} images of {len(np.unique(roles.labels))} classes; "
            "at least two images of a class are needed"
        )
    return Protocolled(protocol, tuple(tasks), dropped)


def _candidates(protocol: Chosen, roles: Roles) -> list[RetrievalTask]:
    everything = np.arange(len(roles.labels), dtype=np.int64)
    if protocol == "leave-one-out":
        return [RetrievalTask("leave-one-out", everything, everything, exclude_self=True)]
    if protocol == "cross-view":
        rows = [np.flatnonzero(roles.views == view) for view in range(len(roles.view_names))]
        pairs = combinations(range(len(roles.view_names)), 2)
        return [
            RetrievalTask(f"{roles.view_names[query]}>{roles.view_names[gallery]}", rows[query], rows[gallery])
            for query, gallery in pairs
        ]
    assert protocol == "query-gallery" and roles.is_query is not None and roles.is_gallery is not None
    query, gallery = np.flatnonzero(roles.is_query), np.flatnonzero(roles.is_gallery)
    both = bool((roles.is_query & roles.is_gallery).any())
    return [RetrievalTask("query>gallery", query, gallery, exclude_self=both)]


def _answerable(task: RetrievalTask, labels: NDArray[np.int64]) -> Bool[np.ndarray, " q"]:
    """Return True for each query that has a gallery image of its class, not counting itself if that is excluded."""
    counts = np.bincount(labels[task.gallery], minlength=int(labels.max(initial=0)) + 1)
    relevant = counts[labels[task.query]]
    if task.exclude_self:
        relevant = relevant - np.isin(task.query, task.gallery)
    return relevant > 0
