"""What ``hetero data check`` finds, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from hetero.data.decoding.grey import DeepGrey


@dataclass(frozen=True)
class SplitReport:
    """One split.

    Attributes:
        images: Readable images.
        unlabelled: Those without a label.
        classes: Classes among the others.
        images_per_class: Smallest, median and largest number.
        single_image_classes: Classes with one image: nothing of their kind to find.
        views: Images by view; empty when the data knows no views.
    """

    images: int
    unlabelled: int
    classes: int
    images_per_class: tuple[int, float, int]
    single_image_classes: int
    views: dict[str, int]


@dataclass(frozen=True)
class TaskReport:
    """One retrieval task of a split: who searches whom."""

    split: str
    protocol: str
    task: str
    queries: int
    gallery: int
    dropped_queries: int


@dataclass(frozen=True)
class Duplicate:
    """Files of equal content, in more than one split: what was trained on is tested on."""

    names: tuple[str, ...]
    splits: tuple[str, ...]


@dataclass(frozen=True)
class DataReport:
    """What ``hetero data check`` says.

    Attributes:
        name: The folder's or table's name.
        layout: How the data lies there.
        splits: By name.
        tasks: Of the validation and the test images.
        widths: Smallest and largest, in pixels as stored.
        heights: Smallest and largest, in pixels as stored.
        modes: Images by colour mode, in Pillow's names.
        turned: Images that an EXIF orientation turns.
        grey: What the grey files of more than 8 bits hold; None without such files.
        black: Images without a pixel above 15 of 255, once small.
        unreadable: What is wrong with each file that cannot be read, by name.
        duplicates_within: Groups of files of equal content within one split.
        leaks: Groups of files of equal content over several splits.
        notes: Files ignored, splits made up.
        problems: What stands in the way of using the data; empty when nothing does.
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
        """A JSON-serialisable record."""
        return asdict(self)
