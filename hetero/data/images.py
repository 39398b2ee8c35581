"""What the rest of the project sees of a data set: images as rows of one array, with labels, views and names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Int64, UInt8
from numpy.typing import NDArray

from hetero.errors import InputError
from hetero.files import digest
from hetero.metrics.task import RetrievalTask
from hetero.preprocessing import Preprocessing


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


@runtime_checkable
class ImageSource(Protocol):
    """Where images come from, so that they can be prepared for another model."""

    def prepared(self, preprocessing: Preprocessing) -> Images:
        """The same images in the same order, decoded and resized as another preprocessing says."""
        ...

    def sizes(self) -> Int64[np.ndarray, "n 2"]:
        """Width and height of each picture in pixels, before it was resized."""
        ...


def no_original(_row: int) -> bytes | None:
    """The original of an image that was never a file."""
    return None


@dataclass(frozen=True)
class ImageSet:
    """Images with what is known of each.

    Attributes:
        images: uint8 [n, h, w, 3], RGB.
        labels: int64 [n], index into ``classes``. An image without a label is its own class (with files of equal
            content and with changed copies of it), numbered from ``len(classes)`` on.
        classes: Names of the classes that labels name, unique.
        views: int64 [n], index into ``view_names``: the design, camera or source that an image comes from.
        view_names: View names; one name when the data knows no views.
        names: One unique name an image, for instance its relative path.
        fingerprint: SHA-256 of what the set was made from; equal fingerprints mean equal images in equal order.
        preprocessing: How the images were decoded and resized; None when that is not known.
        source: Prepares the same images for another model; None when only these pixels are left.
        original: The undecoded JPEG or PNG file of a row's image; None for an image that is no whole file of its own.
    """

    images: Images
    labels: Int64[np.ndarray, " n"]
    classes: tuple[str, ...]
    views: Int64[np.ndarray, " n"]
    view_names: tuple[str, ...]
    names: tuple[str, ...]
    fingerprint: str
    preprocessing: Preprocessing | None = field(default=None, compare=False)
    source: ImageSource | None = field(default=None, compare=False)
    original: Callable[[int], bytes | None] = field(default=no_original, compare=False)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def labelled(self) -> Bool[np.ndarray, " n"]:
        """True where an image has a label."""
        return np.asarray(self.labels) < len(self.classes)

    @property
    def unlabelled(self) -> int:
        """Number of images without a label."""
        return int((~self.labelled).sum())

    @property
    def has_labels(self) -> bool:
        """True if every image has a label."""
        return not self.unlabelled

    def prepared_by(self, preprocessing: Preprocessing) -> ImageSet:
        """The same images as a model with this preprocessing takes them: these, or prepared once more.

        Raises:
            InputError: When they were prepared in another way and only these pixels are left.
        """
        if self._suits(preprocessing):
            return self
        if self.source is None:
            height, width = self.images.shape[1:3]
            came = f"{height}x{width}" if self.preprocessing is None else self.preprocessing.in_words
            raise InputError(
                f"the model takes images of {preprocessing.in_words}, these are of {came}, and only their pixels are "
                "left: its vectors would mean something else. Take images from hetero.prepare, which prepares them for "
                "each model, or prepare them as this model takes them"
            )
        return replace(
            self,
            images=self.source.prepared(preprocessing),
            preprocessing=preprocessing,
            fingerprint=digest([self.fingerprint, preprocessing.decoding]),
        )

    def _suits(self, preprocessing: Preprocessing) -> bool:
        if self.preprocessing is None:
            return tuple(self.images.shape[1:3]) == (preprocessing.height, preprocessing.width)
        return self.preprocessing.decoding == preprocessing.decoding


def require_size(images: Images, preprocessing: Preprocessing, what: str) -> None:
    """Refuse images of another size than a model takes: most networks would embed them all the same.

    Args:
        images: uint8 [n, h, w, 3].
        preprocessing: The model's.
        what: Names the model in the message.

    Raises:
        InputError: When the sizes differ.
    """
    expected, came = (preprocessing.height, preprocessing.width), tuple(images.shape[1:3])
    if came != expected:
        raise InputError(
            f"{what} takes images of {expected[0]}x{expected[1]}, got {came[0]}x{came[1]}: its vectors would mean "
            "something else; prepare the images as its preprocessing says, for instance with ImageSet.prepared_by"
        )


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

    def prepared_by(self, preprocessing: Preprocessing) -> Dataset:
        """The same data as a model with this preprocessing takes it; see :meth:`ImageSet.prepared_by`."""
        train, validation, test = (one.prepared_by(preprocessing) for one in (self.train, self.validation, self.test))
        if train is self.train and validation is self.validation and test is self.test:
            return self
        made = digest([self.fingerprint, preprocessing.decoding])
        return replace(self, train=train, validation=validation, test=test, fingerprint=made)
