"""Objectives that learn from labels, and training images without labels."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hetero.data.images import Dataset
from hetero.data.subset import with_rows
from hetero.errors import InputError
from hetero.objectives.config import ObjectiveConfig
from hetero.objectives.labels import label_problems, needing_labels


def require_labels(terms: Iterable[ObjectiveConfig], dataset: Dataset, who: str, *, has_cloud: bool) -> None:
    """Refuse objectives that learn from labels where a training image has none.

    Args:
        terms: Terms of the objective.
        dataset: The training data.
        who: Name of the model in the message.
        has_cloud: True if there is a cloud (or old) model to learn from instead.

    Raises:
        InputError: Naming these objectives, and those that need no labels, when a training image has no label.
    """
    unlabelled, images = dataset.train.unlabelled, len(dataset.train)
    if problems := label_problems(terms, unlabelled=unlabelled, images=images, has_cloud=has_cloud):
        raise InputError(f"{who}: {problems[0]}")


def with_labels_where_needed(terms: Iterable[ObjectiveConfig], dataset: Dataset) -> Dataset:
    """Return the data without the training images that the objectives cannot learn from: those without a label.

    Where no image has a label, all stay: there is nothing to train on, see :func:`require_labels`.
    """
    train = dataset.train
    if train.has_labels or not train.classes or not needing_labels(terms):
        return dataset
    return dataset.training_on(with_rows(train, np.flatnonzero(train.labelled)))
