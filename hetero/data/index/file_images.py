"""What a source's files hold, image by image, before it is written to the columns of an index."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from hetero.data.sources.listing import Box
from hetero.data.sources.split_names import Split, split_named
from hetero.data.sources.walk import PassedOver

LARGEST_IMAGE = 1 << 30
"""Most bytes of one image; more pixels than Pillow would be allowed to decode."""
LARGEST_LABEL = 1 << 20
"""Most bytes of a text or record beside an image."""
_MOST_PROBLEMS = 20


@dataclass
class FileImages:
    """The images of one file (a shard, or an image file by itself), as columns.

    Attributes:
        names: A name an image, unique within the file.
        labels: Class names; empty for none.
        splits: Splits that the file's records name; empty for none.
        offsets: First byte of each image in the file.
        lengths: Number of its bytes.
        contents: SHA-256 of each image's bytes, 32 bytes each; empty where the bytes were not read.
        views: Design, camera or source of each image.
        roles: 0 where the data does not say, else 1 for a query, 2 for a gallery image, 3 for both.
        boxes: Box of each image; None for the whole.
        passed_over: What was skipped.
        problems: What is wrong with the file.
    """

    names: list[str] = field(default_factory=list[str])
    labels: list[str] = field(default_factory=list[str])
    splits: list[Split] = field(default_factory=list[Split])
    offsets: list[int] = field(default_factory=list[int])
    lengths: list[int] = field(default_factory=list[int])
    contents: list[bytes] = field(default_factory=list[bytes])
    views: list[str] = field(default_factory=list[str])
    roles: list[int] = field(default_factory=list[int])
    boxes: list[Box | None] = field(default_factory=list["Box | None"])
    passed_over: PassedOver = field(default_factory=PassedOver)
    problems: list[str] = field(default_factory=list[str])
    _counts: Counter[str] = field(default_factory=Counter[str])

    def add(
        self,
        name: str,
        *,
        offset: int,
        length: int,
        content: bytes,
        label: str = "",
        split: Split = "",
        view: str = "",
        role: int = 0,
        box: Box | None = None,
    ) -> None:
        """Add an image; a name that is there already gets a running number: ``a.jpg``, ``a.jpg@2``."""
        self._counts[name] += 1
        self.names.append(name if self._counts[name] == 1 else f"{name}@{self._counts[name]}")
        self.labels.append(label)
        self.splits.append(split)
        self.offsets.append(offset)
        self.lengths.append(length)
        self.contents.append(content)
        self.views.append(view)
        self.roles.append(role)
        self.boxes.append(box)

    def report(self, problem: str) -> None:
        """Note a problem; of very many the first are kept."""
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(problem)

    def split_of(self, value: object, where: str) -> Split:
        """Return the split that a record names; what is no split's name is a problem."""
        if value is None or value == "":
            return ""
        split = split_named(str(value))
        if not split:
            self.report(f"{where}: split must be train, validation, test or unlabelled, got {value!r}")
        return split


def label_text(value: object) -> str:
    """Return a record's label as a class name; empty for none."""
    return "" if value is None else str(value).strip()
