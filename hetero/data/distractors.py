"""Validation that a few classes do not make too easy: other classes' images join the gallery."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64

from hetero.data.images import ImageSet
from hetero.evaluation.task import RetrievalTask


def with_distractors(
    tasks: Sequence[RetrievalTask], images: ImageSet, others: ImageSet
) -> tuple[tuple[RetrievalTask, ...], Int64[np.ndarray, " n"]]:
    """Tasks over ``images`` followed by ``others``: each gallery is joined by the other classes' images of its views.

    Sixty held-out classes rank models by whom they confuse among sixty. Against a gallery of all training classes too,
    the ranking is nearer to that of a large test set. Only galleries grow; the queries are those of the tasks.

    Args:
        tasks: Rows of ``images``.
        images: What is asked for.
        others: For instance the training images; those of a class that ``images`` knows are left out.

    Returns:
        The tasks, and int64 [n], labels of ``images`` followed by ``others``; classes of others count on.
    """
    known = {name: label for label, name in enumerate(images.classes)}
    relabelled = np.array(
        [known.get(name, len(known) + label) for label, name in enumerate(others.classes)], dtype=np.int64
    )
    labels = np.concatenate([np.asarray(images.labels, np.int64), relabelled[np.asarray(others.labels)]])
    views = [np.asarray(one.view_names)[np.asarray(one.views)] for one in (images, others)]
    free = labels[len(images) :] >= len(known)
    grown: list[RetrievalTask] = []
    for task in tasks:
        joins = free & np.isin(views[1], views[0][task.gallery])
        gallery = np.concatenate([task.gallery, len(images) + np.flatnonzero(joins)])
        grown.append(dataclasses.replace(task, gallery=gallery))
    return tuple(grown), labels
