"""Validation that a few classes do not make too easy: other classes' images join the gallery."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from hetero.data.images import ImageSet
from hetero.data.protocols import COPY_VIEWS
from hetero.metrics.task import RetrievalTask


def with_distractors(
    tasks: Sequence[RetrievalTask], images: ImageSet, others: ImageSet
) -> tuple[tuple[RetrievalTask, ...], Int64[np.ndarray, " n"]]:
    """Tasks over ``images`` followed by ``others``: each gallery is joined by the other classes' images of its views.

    Sixty held-out classes rank models by whom they confuse among sixty. Against a gallery of all training classes too,
    the ranking is nearer to that of a large test set. Only galleries grow; the queries are those of the tasks.

    Args:
        tasks: Rows of ``images``.
        images: What is asked for.
        others: For instance the training images; those of a class that ``images`` knows are left out, and those without
            a label where ``images`` have one, since they may be of any class.

    Returns:
        The tasks, and int64 [n], labels of ``images`` followed by ``others``; classes of others count on.
    """
    own = np.asarray(images.labels, np.int64)
    first = max(len(images.classes), int(own.max(initial=-1)) + 1)
    known = {name: label for label, name in enumerate(images.classes)}
    # What each label of others is here; those of images without one count on as they are.
    numbers = first + np.arange(int(np.max(others.labels, initial=-1)) + 1, dtype=np.int64)
    for label, name in enumerate(others.classes[: len(numbers)]):
        numbers[label] = known.get(name, first + label)
    labels = np.concatenate([own, numbers[np.asarray(others.labels)]])
    views = [np.asarray(one.view_names)[np.asarray(one.views)] for one in (images, others)]
    free = (labels[len(images) :] >= first) & (others.labelled | (not images.classes))
    grown: list[RetrievalTask] = []
    for task in tasks:
        # Altered copies are no view that others could have.
        joins = free & (np.isin(views[1], views[0][task.gallery]) | (images.view_names == COPY_VIEWS))
        gallery = np.concatenate([task.gallery, len(images) + np.flatnonzero(joins)])
        grown.append(dataclasses.replace(task, gallery=gallery))
    return tuple(grown), labels
