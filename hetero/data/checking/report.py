"""The report of ``hetero data check``, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hetero.data.decoding.grey import DeepGrey


@dataclass(frozen=True)
class SplitReport:
    """The images of one split.

    Attributes:
        images: Readable images.
        unlabelled: Images without a label.
        classes: Classes among the others.
        images_per_class: Smallest, median and largest number of images in a class.
        single_image_classes: Classes with one image, which has no other of its class to find.
        views: Images by view; empty when the data has no views.
    """

    images: int
    unlabelled: int
    classes: int
    images_per_class: tuple[int, float, int]
    single_image_classes: int
    views: dict[str, int]


@dataclass(frozen=True)
class TaskReport:
    """One retrieval task of a split: the numbers of queries and gallery images."""

    split: str
    protocol: str
    task: str
    queries: int
    gallery: int
    dropped_queries: int


@dataclass(frozen=True)
class Duplicate:
    """Files of equal content in more than one split, so that training images are tested on."""

    names: tuple[str, ...]
    splits: tuple[str, ...]


@dataclass(frozen=True)
class DataReport:
    """The report of ``hetero data check``.

    Attributes:
        name: The folder's or table's name.
        layout: Layout of the data.
        splits: Splits by name.
        tasks: Tasks of the validation and the test images.
        widths: Smallest and largest, in pixels as stored.
        heights: Smallest and largest, in pixels as stored.
        modes: Images by colour mode, in Pillow's names.
        turned: Images that an EXIF orientation turns.
        grey: Values of the grey files of more than 8 bits; None without such files.
        black: Images without a pixel above 15 of 255 after reduction to a small size.
        unreadable: Reason of each file that cannot be read, by name.
        duplicates_within: Groups of files of equal content within one split.
        leaks: Groups of files of equal content over several splits.
        notes: Ignored files and generated splits.
        problems: Problems that prevent use of the data; empty when there are none.
    """

    name: str
    layout: str
    splits: dict[str, SplitReport]
    tasks: tuple[TaskReport, ...]
    widths: tuple[int, int]
    heights: tuple[int, int]
    modes: dict[str, int]
    turned: int
    grey: DeepGrey | None
    black: int
    unreadable: dict[str, str]
    duplicates_within: int
    leaks: tuple[Duplicate, ...]
    notes: tuple[str, ...]
    problems: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable record."""
        return asdict(self)
