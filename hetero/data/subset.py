"""Subsets of data: a set with some of its training classes, as an earlier model had; some of a set's images."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from hetero.data.images import Croppable, Dataset, Images, ImageSet, ImageSource, selected
from hetero.data.index.columns import Texts
from hetero.errors import InputError
from hetero.files import digest
from hetero.preprocessing import Preprocessing


def with_classes(dataset: Dataset, names: Collection[str]) -> Dataset:
    """Limit the training images to these classes, without images that have no label; validation and test stay.

    Args:
        dataset: The data.
        names: Training classes to keep, at least one.

    Raises:
        InputError: When the data has no class of one of these names.
    """
    if unknown := sorted(set(names) - set(dataset.train.classes)) or (not names and ["(no class given)"]):
        raise InputError(f"{dataset.name} has no training classes of these names:", list(unknown)[:10])
    train = _limited(dataset.train, set(names))
    return dataset.training_on(train)


@dataclass(frozen=True)
class _RowsToCrop:
    """Some of the images that can be cropped."""

    whole: Croppable
    rows: Int64[np.ndarray, " n"]

    def cropped(
        self, rows: Int64[np.ndarray, " b"], crops: Float64[np.ndarray, "b 4"], /
    ) -> UInt8[np.ndarray, "b h w 3"]:
        return self.whole.cropped(self.rows[rows], crops)


@dataclass(frozen=True)
class _Rows:
    """A source of some rows of another."""

    whole: ImageSource
    rows: Int64[np.ndarray, " n"]

    def prepared(self, preprocessing: Preprocessing) -> Images:
        return selected(self.whole.prepared(preprocessing), self.rows)

    def originals(self, preprocessing: Preprocessing) -> _RowsToCrop:
        return _RowsToCrop(self.whole.originals(preprocessing), self.rows)

    def sizes(self) -> Int64[np.ndarray, "n 2"]:
        return self.whole.sizes()[self.rows]


def with_rows(images: ImageSet, rows: Int64[np.ndarray, " n"]) -> ImageSet:
    """Return some of the images, in the order of ``rows``; all classes stay, even those without an image."""
    names = images.names
    return dataclasses.replace(
        images,
        images=selected(images.images, rows),
        labels=np.asarray(images.labels)[rows],
        views=np.asarray(images.views)[rows],
        names=names.select(rows) if isinstance(names, Texts) else tuple(names[row] for row in rows),
        fingerprint=digest([images.fingerprint, rows.tolist()]),
        source=images.source and _Rows(images.source, rows),
        original=lambda row: images.original(int(rows[row])),
    )


def _limited(images: ImageSet, names: set[str]) -> ImageSet:
    mask = [name in names for name in images.classes]
    rows = np.flatnonzero(np.isin(images.labels, np.flatnonzero(mask)))
    number = np.cumsum(mask) - 1
    subset = with_rows(images, rows)
    classes = tuple(name for name in images.classes if name in names)
    return dataclasses.replace(
        subset,
        labels=number[np.asarray(subset.labels)].astype(np.int64),
        classes=classes,
        fingerprint=digest([images.fingerprint, classes]),
    )
