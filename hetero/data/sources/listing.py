"""The images found on disk, before any is decoded: the common form of folders and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hetero.data.sources.rows import SPLITS, Rows, numbered
from hetero.data.sources.split_names import Split
from hetero.files import digest

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class ListedImage:
    """One image, not yet opened.

    Attributes:
        path: The file.
        name: Unique name within the data set, independent of the data set's place on disk.
        label: Class name; empty when it is not known.
        split: Name of the split; empty when the data names none.
        view: Design, camera or source; empty when the data has no views.
        is_query: True if a test image is a query; None when the data does not say.
        is_gallery: True if a test image is in the gallery; None when the data does not say.
        box: ``(left, top, right, bottom)`` in pixels of the upright image; None means all of it.
        content: SHA-256 of the file; empty until it is read.
    """

    path: Path
    name: str
    label: str
    split: Split = ""
    view: str = ""
    is_query: bool | None = None
    is_gallery: bool | None = None
    box: Box | None = None
    content: str = ""

    def identity(self) -> list[object]:
        """Return everything but the place on disk."""
        roles = [self.is_query, self.is_gallery]
        return [self.name, self.label, self.split, self.view, *roles, self.box, self.content]

    def moved(self, split: Split) -> ListedImage:
        """Return the image in another split."""
        return replace(self, split=split)


@dataclass(frozen=True)
class Listing:
    """All images of a data set.

    Attributes:
        name: Name for people: the folder's or the table's.
        layout: One line that describes the layout of the data.
        entries: Entries sorted by name within each split.
        notes: Notes for the user: ignored files, generated splits.
    """

    name: str
    layout: str
    entries: tuple[ListedImage, ...]
    notes: tuple[str, ...] = ()

    def of(self, split: Split) -> list[ListedImage]:
        """Return the images of one split."""
        return [entry for entry in self.entries if entry.split == split]

    def with_entries(self, entries: Iterable[ListedImage], *notes: str) -> Listing:
        """Return the data set with other entries and further notes."""
        return replace(self, entries=tuple(entries), notes=self.notes + notes)

    def labelled(self, split: Split) -> bool:
        """Return True if some image of a split has a label."""
        return any(entry.label for entry in self.of(split))

    def require_classes(self) -> None:
        """Refuse data from which nothing can be learnt.

        Raises:
            InputError: When there is no image, only one class or one image without a label in a split, or classes whose
                names look the same.
        """
        self.rows().require_classes()

    def rows(self) -> Rows:
        """Return labels, splits and names as columns."""
        classes, labels = numbered(entry.label for entry in self.entries)
        if classes[:1] == ("",):
            classes, labels = classes[1:], labels - 1
        splits = np.array([SPLITS.index(entry.split) for entry in self.entries], np.uint8)
        names = [entry.name for entry in self.entries]
        return Rows(
            self.name, classes, labels, splits, names, tuple({entry.view for entry in self.entries}), self.notes
        )

    def fingerprint(self) -> str:
        """Return a digest of names, splits, labels, roles, boxes and contents, which must be known; opens no file."""
        return digest([entry.identity() for entry in self.entries])


def unique_names(entries: list[ListedImage]) -> list[ListedImage]:
    """Make equal names distinct by a running number: ``a.jpg``, ``a.jpg@2``.

    Changed copies have another mark, ``#`` (see :mod:`hetero.data.augmentation.copies`), since they are not separate
    images.
    """
    counts: Counter[str] = Counter()
    result: list[ListedImage] = []
    for entry in entries:
        counts[entry.name] += 1
        number = counts[entry.name]
        result.append(entry if number == 1 else replace(entry, name=f"{entry.name}@{number}"))
    return result
