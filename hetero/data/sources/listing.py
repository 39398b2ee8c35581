"""What was found on disk, before an image is decoded: the common ground of folders and tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from hetero.data.names import require_telling_apart
from hetero.data.sources.split_names import Split
from hetero.errors import InputError
from hetero.files import digest

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Entry:
    """One image, not yet opened.

    Attributes:
        path: The file.
        name: Unique within the data set and free of the data set's place on disk.
        label: Class name; empty when it is not known.
        split: Empty when the data names none.
        view: Design, camera or source; empty when the data knows no views.
        is_query: Whether a test image queries; None when the data does not say.
        is_gallery: Whether a test image is searched; None when the data does not say.
        box: ``(left, top, right, bottom)`` in pixels of the upright image; None means all of it.
        content: SHA-256 of the file; empty as long as it was not read.
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
        """Everything but the place on disk."""
        roles = [self.is_query, self.is_gallery]
        return [self.name, self.label, self.split, self.view, *roles, self.box, self.content]

    def moved(self, split: Split) -> Entry:
        """The same image in another split."""
        return replace(self, split=split)


@dataclass(frozen=True)
class Listing:
    """All images of a data set.

    Attributes:
        name: For people: the folder's or the table's name.
        layout: One line that says how the data is laid out.
        entries: Sorted by name within each split.
        notes: What a user should know: files ignored, splits made up.
    """

    name: str
    layout: str
    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()

    def of(self, split: Split) -> list[Entry]:
        """The images of one split."""
        return [entry for entry in self.entries if entry.split == split]

    def with_entries(self, entries: Iterable[Entry], *notes: str) -> Listing:
        """The same data set with other entries and further notes."""
        return replace(self, entries=tuple(entries), notes=self.notes + notes)

    def labelled(self, split: Split) -> bool:
        """True if some image of a split has a label."""
        return any(entry.label for entry in self.of(split))

    def require_classes(self) -> None:
        """Refuse data that nothing can be learnt from.

        Raises:
            InputError: When there is no image, only one class or one image without a label in a split, or classes whose
                names look the same.
        """
        if not self.entries:
            raise InputError(f"{self.name}: expected images in folders named after their classes, found none")
        labels_of: dict[Split, list[str]] = {}
        for entry in self.entries:
            labels_of.setdefault(entry.split, []).append(entry.label)
        require_telling_apart({entry.label for entry in self.entries}, f"classes of {self.name}")
        require_telling_apart({entry.view for entry in self.entries}, f"views of {self.name}")
        for split, labels in sorted(labels_of.items()):
            self._require_several(split, labels)

    def _require_several(self, split: Split, labels: list[str]) -> None:
        """Refuse a split's labels when they leave nothing to tell apart; each image without one is its own class."""
        place, classes = (f"the {split} images of {self.name}" if split else self.name), set(labels)
        if split == "unlabelled" or len(classes - {""}) + labels.count("") > 1:
            return
        if "" in classes:
            raise InputError(f"{place}: expected at least two images, found one; it leaves nothing to tell apart")
        raise InputError(
            f"{place}: expected at least two classes, found one ({classes.pop()!r}); one class leaves nothing to tell "
            'apart; where it says nothing of the images, give them no label (layout = "flat" for a folder, an empty '
            "label in a table)"
        )

    def fingerprint(self) -> str:
        """Digest of names, splits, labels, roles, boxes and contents, which must be known; opens no file."""
        return digest([entry.identity() for entry in self.entries])


def unique_names(entries: list[Entry]) -> list[Entry]:
    """Tell images of equal name apart by a running number: ``a.jpg``, ``a.jpg@2``.

    Changed copies have another mark, ``#`` (see :mod:`hetero.data.augmentation.copies`): they are no images of their
    own.
    """
    seen: Counter[str] = Counter()
    result: list[Entry] = []
    for entry in entries:
        seen[entry.name] += 1
        number = seen[entry.name]
        result.append(entry if number == 1 else replace(entry, name=f"{entry.name}@{number}"))
    return result
