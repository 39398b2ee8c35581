"""Distractors: images of other classes in the gallery, without which validation on a few classes is too easy."""

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
    """Extend each gallery by images of other classes in its views, in tasks over ``images`` followed by ``others``.

    Sixty held-out classes rank models by their confusions among sixty. With all training classes in the gallery, the
    ranking is closer to that of a large test set. Only galleries grow; the queries stay the same.

    Args:
        tasks: Tasks over rows of ``images``.
        images: The images of the tasks.
        others: For instance the training images; those of a class of ``images`` are left out, and those without a label
            where ``images`` have labels, since they may be of any class.

    Returns:
        The tasks, and int64 [n], labels of ``images`` followed by ``others``; new classes get the following numbers.
    """
    own = np.asarray(images.labels, np.int64)
    first = max(len(images.classes), int(own.max(initial=-1)) + 1)
    own_labels = {name: label for label, name in enumerate(images.classes)}
    # The number of each label of others here; images without a label keep their order.
    numbers = first + np.arange(int(np.max(others.labels, initial=-1)) + 1, dtype=np.int64)
    for label, name in enumerate(others.classes[: len(numbers)]):
        numbers[label] = own_labels.get(name, first + label)
    labels = np.concatenate([own, numbers[np.asarray(others.labels)]])
    views = [np.asarray(part.view_names)[np.asarray(part.views)] for part in (images, others)]
    free = (labels[len(images) :] >= first) & (others.labelled | (not images.classes))
    grown: list[RetrievalTask] = []
    for task in tasks:
        # Others have no images in the view of altered copies.
        joins = free & (np.isin(views[1], views[0][task.gallery]) | (images.view_names == COPY_VIEWS))
        gallery = np.concatenate([task.gallery, len(images) + np.flatnonzero(joins)])
        grown.append(dataclasses.replace(task, gallery=gallery))
    return tuple(grown), labels
