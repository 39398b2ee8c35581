"""Labels, splits and names of a data set's images as columns, in which a million of them take little memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int64, UInt8

from hetero.data.index.columns import Texts
from hetero.data.names import require_telling_apart
from hetero.data.sources.split_names import Split
from hetero.errors import InputError

SPLITS: tuple[Split, ...] = ("", "train", "validation", "test", "unlabelled")
"""The splits in the order of their numbers."""
LEFT_OUT = 255
"""Number in place of a split's for an image that is not used."""


@dataclass(frozen=True)
class Rows:
    """What decides the splits of a data set.

    Attributes:
        name: The data set's name for people.
        classes: Names that labels index, unique; some may have no image.
        labels: int64 [n], index into ``classes``; -1 for an image without a label.
        splits: uint8 [n], index into :data:`SPLITS`, or :data:`LEFT_OUT`.
        names: One unique name an image.
        views: Names of the views, unique.
        notes: Notes for the user.
    """

    name: str
    classes: tuple[str, ...]
    labels: Int64[np.ndarray, " n"]
    splits: UInt8[np.ndarray, " n"]
    names: Sequence[str]
    views: Sequence[str] = ()
    notes: tuple[str, ...] = ()

    def of(self, split: Split) -> Int64[np.ndarray, " m"]:
        """Return the rows of one split."""
        return np.flatnonzero(self.splits == SPLITS.index(split))

    def labelled(self, split: Split) -> bool:
        """Return True if some image of a split has a label."""
        return bool((self.labels[self.of(split)] >= 0).any())

    def classes_of(self, split: Split) -> Int64[np.ndarray, " c"]:
        """Return the classes that images of a split have, ascending."""
        labels = np.unique(self.labels[self.of(split)])
        return labels[labels >= 0]

    def names_of(self, rows: Int64[np.ndarray, " m"]) -> Sequence[str]:
        """Return the names of some images."""
        names = self.names
        return names.select(rows) if isinstance(names, Texts) else [names[int(row)] for row in rows]

    def moved(self, rows: Int64[np.ndarray, " m"], split: Split | None, *notes: str) -> Rows:
        """Return the images with some of them in another split, or left out for None, and further notes."""
        splits = self.splits.copy()
        splits[rows] = LEFT_OUT if split is None else SPLITS.index(split)
        return replace(self, splits=splits, notes=(*self.notes, *notes))

    def require_classes(self) -> None:
        """Refuse data from which nothing can be learnt.

        Raises:
            InputError: When there is no image, only one class or one image without a label in a split, or classes whose
                names look the same.
        """
        used = self.splits != LEFT_OUT
        if not used.any():
            raise InputError(f"{self.name}: expected images in folders named after their classes, found none")
        present = np.unique(self.labels[used])
        require_telling_apart((self.classes[label] for label in present if label >= 0), f"classes of {self.name}")
        require_telling_apart(set(self.views), f"views of {self.name}")
        for split in sorted(SPLITS):
            if split != "unlabelled" and len(rows := self.of(split)):
                self._require_several(split, self.labels[rows])

    def _require_several(self, split: Split, labels: Int64[np.ndarray, " m"]) -> None:
        """Refuse a split that has a single class, where each image without a label counts as its own class."""
        place, classes = (f"the {split} images of {self.name}" if split else self.name), np.unique(labels[labels >= 0])
        without = int((labels < 0).sum())
        if len(classes) + without > 1:
            return
        if without:
            raise InputError(f"{place}: expected at least two images, found one; it leaves nothing to tell apart")
        raise InputError(
            f"{place}: expected at least two classes, found one ({self.classes[classes[0]]!r}); one class leaves "
            'nothing to tell apart; where it says nothing of the images, give them no label (layout = "flat" for a '
            "folder, an empty label in a table)"
        )


def numbered(values: Iterable[str]) -> tuple[tuple[str, ...], Int64[np.ndarray, " n"]]:
    """Return the values in order, each once, and the place of every value among them."""
    values = list(values)
    names = tuple(sorted(set(values)))
    index = {name: position for position, name in enumerate(names)}
    return names, np.array([index[value] for value in values], np.int64)
