"""A data set with some of its training classes only: what an earlier model had."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection

import numpy as np

from hetero.data.images import Dataset, ImageSet
from hetero.errors import InputError
from hetero.files import digest


def with_classes(dataset: Dataset, names: Collection[str]) -> Dataset:
    """The data set, its training images limited to these classes; validation and test stay.

    Args:
        dataset: Images.
        names: Training classes to keep, at least one.

    Raises:
        InputError: When the data has no class of a name.
    """
    if unknown := sorted(set(names) - set(dataset.train.classes)) or (not names and ["(no class given)"]):
        raise InputError(f"{dataset.name} has no training classes of these names:", list(unknown)[:10])
    train = _limited(dataset.train, set(names))
    return dataset.training_on(train)


def _limited(images: ImageSet, names: set[str]) -> ImageSet:
    kept = [name in names for name in images.classes]
    rows = np.flatnonzero(np.asarray(kept)[np.asarray(images.labels)])
    number = np.cumsum(kept) - 1
    classes = tuple(name for name in images.classes if name in names)
    return dataclasses.replace(
        images,
        images=images.images[rows],
        labels=number[np.asarray(images.labels)[rows]].astype(np.int64),
        classes=classes,
        views=np.asarray(images.views)[rows],
        names=tuple(images.names[row] for row in rows),
        fingerprint=digest([images.fingerprint, classes]),
    )
