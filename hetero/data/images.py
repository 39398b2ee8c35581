"""What the rest of the project sees of a data set: images as rows of one array, with labels, views and names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64, UInt8
from numpy.typing import NDArray

from hetero.evaluation.task import RetrievalTask


@runtime_checkable
class Images(Protocol):
    """Decoded images, all of one size. An array, a memory-mapped file or a decoder on demand satisfies it."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, height, width, 3)``."""
        ...

    def __len__(self) -> int:
        """Number of images."""
        ...

    def __getitem__(self, indices: NDArray[np.int64] | slice, /) -> UInt8[np.ndarray, "b h w 3"]:
        """The images of these rows, RGB."""
        ...


def no_original(_row: int) -> bytes | None:
    """The original of an image that was never a file."""
    return None


@dataclass(frozen=True)
class ImageSet:
    """Images with what is known of each.

    Attributes:
        images: uint8 [n, h, w, 3], RGB.
        labels: int64 [n], index into ``classes``.
        classes: Class names, unique.
        views: int64 [n], index into ``view_names``: the design, camera or source that an image comes from.
        view_names: View names; one name when the data knows no views.
        names: One unique name an image, for instance its relative path.
        fingerprint: SHA-256 of what the set was made from; equal fingerprints mean equal images in equal order.
        original: The undecoded JPEG or PNG file of a row's image; None for an image that is no whole file of its own.
    """

    images: Images
    labels: Int64[np.ndarray, " n"]
    classes: tuple[str, ...]
    views: Int64[np.ndarray, " n"]
    view_names: tuple[str, ...]
    names: tuple[str, ...]
    fingerprint: str
    original: Callable[[int], bytes | None] = field(default=no_original, compare=False)

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Dataset:
    """Three sets of images and what is searched in what.

    Attributes:
        name: For people.
        train: Images to train on.
        validation: Images to tune on; never part of ``train`` or ``test``.
        test: Images that only final figures are computed on.
        validation_tasks: Rows of ``validation``.
        test_tasks: Rows of ``test``.
        fingerprint: SHA-256, equal to what :func:`hetero.data.prepare.fingerprint` answers for the same input.
        notes: What a user should know: files skipped, queries dropped, splits made up.
    """

    name: str
    train: ImageSet
    validation: ImageSet
    test: ImageSet
    validation_tasks: tuple[RetrievalTask, ...]
    test_tasks: tuple[RetrievalTask, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()

    def training_on(self, train: ImageSet) -> Dataset:
        """The same data with other training images, for instance with changed copies of them."""
        return replace(self, train=train, fingerprint=train.fingerprint)
