"""A data set as the rest of the project sees it: images as rows of one array, with labels, views and names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float64, Int64, UInt8
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
        """Return the number of images."""
        ...

    def __getitem__(self, indices: NDArray[np.int64] | slice, /) -> UInt8[np.ndarray, "b h w 3"]:
        """Return the images of these rows, RGB."""
        ...


@runtime_checkable
class Selectable(Protocol):
    """Images of which some can be taken without reading any."""

    def select(self, rows: Int64[np.ndarray, " m"], /) -> Images:
        """Return some of the images, in the order of ``rows``."""
        ...


def selected(images: Images, rows: Int64[np.ndarray, " m"]) -> Images:
    """Return some of the images, in the order of ``rows``; those that are decoded when they are read stay so."""
    return images.select(rows) if isinstance(images, Selectable) else images[rows]


@runtime_checkable
class Croppable(Protocol):
    """Images of which crops can be taken: parts that are prepared as whole pictures are."""

    def cropped(
        self, rows: Int64[np.ndarray, " b"], crops: Float64[np.ndarray, "b 4"], /
    ) -> UInt8[np.ndarray, "b h w 3"]:
        """Return a crop of each of these rows.

        Args:
            rows: The rows, which may repeat.
            crops: ``left, top, right, bottom`` of each, as shares of its picture's sides.
        """
        ...


@runtime_checkable
class ImageSource(Protocol):
    """A source of images, from which they can be prepared for another model."""

    def prepared(self, preprocessing: Preprocessing) -> Images:
        """Decode and resize the same images in the same order by another preprocessing."""
        ...

    def originals(self, preprocessing: Preprocessing) -> Croppable:
        """Return the same images in the same order, to be cropped before they are resized.

        Raises:
            InputError: When there are no originals.
        """
        ...

    def sizes(self) -> Int64[np.ndarray, "n 2"]:
        """Return width and height of each picture in pixels, before it was resized."""
        ...


def no_original(_row: int) -> bytes | None:
    """Return None, since the image was never a file."""
    return None


@dataclass(frozen=True)
class ImageSet:
    """Images with their labels, views and names.

    Attributes:
        images: uint8 [n, h, w, 3], RGB.
        labels: int64 [n], index into ``classes``. An image without a label is its own class (together with files of
            equal content and its changed copies), numbered from ``len(classes)`` on.
        classes: Names of the classes that labels name, unique.
        views: int64 [n], index into ``view_names``: the design, camera or source that an image comes from.
        view_names: View names; one name when the data has no views.
        names: One unique name an image, for instance its relative path.
        fingerprint: SHA-256 of the set's sources; equal fingerprints mean equal images in equal order.
        preprocessing: Preprocessing by which the images were decoded and resized; None when it is not known.
        source: Prepares the same images for another model; None when only these pixels are at hand.
        original: The undecoded JPEG or PNG file of a row's image; None for an image that is not a whole file.
    """

    images: Images
    labels: Int64[np.ndarray, " n"]
    classes: tuple[str, ...]
    views: Int64[np.ndarray, " n"]
    view_names: tuple[str, ...]
    names: Sequence[str]
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
        """Return the images as a model with this preprocessing expects them: these, or prepared once more.

        Raises:
            InputError: When they were prepared in another way and only these pixels are at hand.
        """
        if self._suits(preprocessing):
            return self
        if self.source is None:
            height, width = self.images.shape[1:3]
            present = f"{height}x{width}" if self.preprocessing is None else self.preprocessing.in_words
            raise InputError(
                f"the model takes images of {preprocessing.in_words}, these are of {present}, and only their pixels "
                "are left: its vectors would mean something else. Take images from hetero.prepare, which prepares them "
                "for each model, or prepare them as this model takes them"
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
    """Refuse images of another size than a model expects: most networks would embed them nevertheless.

    Args:
        images: uint8 [n, h, w, 3].
        preprocessing: The model's preprocessing.
        what: Name of the model in the message.

    Raises:
        InputError: When the sizes differ.
    """
    expected, size = (preprocessing.height, preprocessing.width), tuple(images.shape[1:3])
    if size != expected:
        raise InputError(
            f"{what} takes images of {expected[0]}x{expected[1]}, got {size[0]}x{size[1]}: its vectors would mean "
            "something else; prepare the images as its preprocessing says, for instance with ImageSet.prepared_by"
        )


@dataclass(frozen=True)
class Dataset:
    """Three sets of images, and the retrieval tasks of two.

    Attributes:
        name: Name for people.
        train: Images to train on.
        validation: Images to tune on; never part of ``train`` or ``test``.
        test: Images that only final figures are computed on.
        validation_tasks: Tasks over rows of ``validation``.
        test_tasks: Tasks over rows of ``test``.
        fingerprint: SHA-256, equal to the result of :func:`hetero.data.prepare.fingerprint` for the same input.
        notes: Notes for the user: skipped files, dropped queries, generated splits.
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
        """Return the data with other training images, for instance with changed copies of them."""
        return replace(self, train=train, fingerprint=train.fingerprint)

    def prepared_by(self, preprocessing: Preprocessing) -> Dataset:
        """Return the data as a model with this preprocessing expects it; see :meth:`ImageSet.prepared_by`."""
        sets = (self.train, self.validation, self.test)
        train, validation, test = (images.prepared_by(preprocessing) for images in sets)
        if train is self.train and validation is self.validation and test is self.test:
            return self
        fingerprint = digest([self.fingerprint, preprocessing.decoding])
        return replace(self, train=train, validation=validation, test=test, fingerprint=fingerprint)
