"""Calibration images, which set activation ranges and on which a precision's loss of retrieval is measured.

They are training or validation images with their cloud embeddings, never the queries that a bundle is verified with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float32, Int64, UInt8

from export.bundle.goldens import RetrievalSet, spread_rows
from export.bundle.tensors import read_tensors
from hetero.data.images import Images
from hetero.errors import InputError
from hetero.files import sha256_bytes, write_bytes
from hetero.metrics.task import RetrievalTask
from hetero.space import EmbeddingSpace

RANGE_IMAGES = 64
"""Number of images that set activation ranges; more change them little."""
CLASS_IMAGES = 8
"""Larger classes contribute fewer images before classes are dropped: within one class there is nothing to confuse."""

Rows = Int64[np.ndarray, " _"]


@dataclass(frozen=True)
class Fold:
    """Calibration images that set ranges, and queries to measure the result with; no image is in both.

    Attributes:
        ranges: Rows of the images that set ranges.
        queries: Rows of the queries.
    """

    ranges: Rows
    queries: Rows


@dataclass(frozen=True)
class Calibration:
    """Calibration images with torch's embeddings of them.

    Attributes:
        retrieval: Images, cloud embeddings and tasks.
        torch: float32 [m, d], the float32 model's vectors of these images.
    """

    retrieval: RetrievalSet
    torch: Float32[np.ndarray, "m d"]

    @property
    def query_rows(self) -> Int64[np.ndarray, " q"]:
        """Rows that are queries of any task, ascending."""
        return np.unique(np.concatenate([task.query for task in self.retrieval.tasks]))

    @property
    def queries(self) -> UInt8[np.ndarray, "q h w 3"]:
        """The images of these rows."""
        return self.retrieval.images[self.query_rows]

    @property
    def range_rows(self) -> Rows:
        """Rows of the images that set a file's activation ranges."""
        return spread_rows(len(self.retrieval.images), RANGE_IMAGES)

    @property
    def folds(self) -> tuple[Fold, ...]:
        """Folds to measure a quantisation on queries that have not set its ranges.

        One fold if enough images remain beside :attr:`range_rows`; else two, in which each half measures the other's
        ranges.
        """
        every = np.arange(len(self.retrieval.images))
        if len(every) >= 2 * RANGE_IMAGES:
            pairs = [(self.range_rows, np.setdiff1d(self.query_rows, self.range_rows))]
        else:
            halves = (every[::2], every[1::2])
            pairs = [(halves[0], halves[1]), (halves[1], halves[0])]
        folds = [Fold(ranges, np.intersect1d(self.query_rows, queries)) for ranges, queries in pairs]
        # Nothing can be held out if every query sets ranges, too.
        return tuple(fold for fold in folds if len(fold.queries)) or (Fold(self.range_rows, self.query_rows),)

    def save(self, directory: Path) -> None:
        """Write it for a converter's process."""
        from safetensors.numpy import save

        self.retrieval.save(directory / "calibration.safetensors")
        write_bytes(directory / "calibration.torch.safetensors", save({"torch": np.ascontiguousarray(self.torch)}))

    @classmethod
    def load(cls, directory: Path) -> Calibration | None:
        """Read the files of :meth:`save`; None if there are none."""
        if not (directory / "calibration.safetensors").is_file():
            return None
        vectors = read_tensors(directory / "calibration.torch.safetensors")[0]["torch"]
        return cls(RetrievalSet.load(directory / "calibration.safetensors"), vectors)


def calibration_set(
    images: Images,
    labels: Int64[np.ndarray, " n"],
    cloud_embeddings: Float32[np.ndarray, "n d"],
    space: EmbeddingSpace,
    *,
    without: UInt8[np.ndarray, "m h w 3"] | None = None,
    most: int = 600,
) -> RetrievalSet:
    """Select calibration images from training or validation data: evenly spread classes, small ones completely.

    Each image searches the others.

    Args:
        images: uint8 [n, h, w, 3], resized by the model's preprocessing.
        labels: Class of each image; classes with a single image are left out, since it has nothing to find.
        cloud_embeddings: The cloud model's unit vectors of these images.
        space: Their embedding space.
        without: Images to exclude: those that the bundle is verified with.
        most: About how many images to select.

    Raises:
        InputError: If no class has two images.
    """
    rows = _spread_classes(labels, most)
    selected = np.ascontiguousarray(images[rows])
    if without is not None:
        allowed = ~_among(selected, without)
        rows, selected = rows[allowed], selected[allowed]
    pairs = np.isin(labels[rows], _repeated(labels[rows]))
    rows, selected = rows[pairs], selected[pairs]
    if not len(rows):
        raise InputError("calibration needs at least one class with two images, so that a query has something to find")
    every = np.arange(len(rows))
    return RetrievalSet(
        images=selected,
        labels=labels[rows],
        cloud_embeddings=cloud_embeddings[rows],
        tasks=(RetrievalTask("calibration", every, every, exclude_self=True),),
        names=tuple(f"calibration {row}" for row in rows),
        space=space,
    )


def _spread_classes(labels: Int64[np.ndarray, " n"], most: int) -> Rows:
    """Return rows of evenly spread classes of two images and more, about ``most`` in all, small classes completely."""
    usable = _repeated(labels)
    if not len(usable):
        return np.zeros(0, np.int64)
    mean = np.isin(labels, usable).sum() / len(usable)
    classes_used = usable[spread_rows(len(usable), max(1, int(most / min(mean, CLASS_IMAGES))))]
    each = max(2, most // len(classes_used))
    rows = [np.flatnonzero(labels == label) for label in classes_used]
    return np.sort(np.concatenate([own[spread_rows(len(own), each)] for own in rows]))


def _repeated(labels: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " k"]:
    classes, counts = np.unique(labels, return_counts=True)
    return classes[counts > 1]


def joined(sets: Sequence[RetrievalSet]) -> RetrievalSet:
    """Join several sets into one, each searched in itself."""
    starts = np.cumsum([0, *(len(part.images) for part in sets)])
    tasks = [
        replace(task, name=f"{task.name} {place}", query=task.query + start, gallery=task.gallery + start)
        for place, (part, start) in enumerate(zip(sets, starts, strict=False))
        for task in part.tasks
    ]
    return RetrievalSet(
        images=np.concatenate([part.images for part in sets]),
        labels=np.concatenate([part.labels for part in sets]),
        cloud_embeddings=np.concatenate([part.cloud_embeddings for part in sets]),
        tasks=tuple(tasks),
        names=tuple(name for part in sets for name in part.names),
        space=sets[0].space,
    )


def make_calibration(
    calibration: RetrievalSet,
    retrieval: RetrievalSet,
    space: EmbeddingSpace,
    embed: Callable[[UInt8[np.ndarray, "n h w 3"]], Float32[np.ndarray, "n d"]],
) -> Calibration:
    """Check calibration images and embed them with torch.

    Raises:
        InputError: If they have another size than the bundle's images, or are among the test images that it is
            verified with.
        SpaceMismatchError: If their cloud embeddings belong to another space.
    """
    calibration.space.require_same(space, this="the calibration set", that="the model")
    if calibration.images.shape[1:] != retrieval.images.shape[1:]:
        raise InputError(
            f"the calibration images are {list(calibration.images.shape[1:])}, those to verify with "
            f"{list(retrieval.images.shape[1:])}: both must be resized as the model's preprocessing says"
        )
    shared = np.flatnonzero(_among(calibration.images, retrieval.images)).tolist()
    if shared:
        raise InputError(
            f"{len(shared)} of {len(calibration.images)} calibration images are among the test images that the bundle "
            f"is verified with (the first: {calibration.names[shared[0]]}): a precision chosen on its own test proves "
            "nothing; take training or validation images"
        )
    return Calibration(calibration, embed(calibration.images))


def _among(images: UInt8[np.ndarray, "n h w 3"], others: UInt8[np.ndarray, "m h w 3"]) -> Bool[np.ndarray, " n"]:
    """Return the images that are, pixel for pixel, among others."""
    digests = {sha256_bytes(np.ascontiguousarray(image).tobytes()) for image in others}
    return np.array([sha256_bytes(np.ascontiguousarray(image).tobytes()) in digests for image in images], bool)
