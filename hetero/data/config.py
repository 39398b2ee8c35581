"""Where the images are and how they are split."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from hetero.data.names import is_text
from hetero.errors import InputError
from hetero.schema import record

EMOJI_TRAIN_CLASSES = 965
Protocol = Literal["auto", "cross-view", "leave-one-out", "query-gallery"]


def path_text(path: Path) -> str:
    """An absolute path as a recipe keeps it.

    Raises:
        InputError: When it is not UTF-8: a recipe is a text.
    """
    text = str(path.resolve())
    if not is_text(text):
        raise InputError(f"the path {text!a} is not UTF-8; rename the folder, or give a link to it")
    return text


@record
class DataConfig:
    """A data set, as a recipe names it.

    Attributes:
        kind: ``emoji`` renders the built-in set; ``folder`` reads an image folder; ``csv`` reads a table of images.
        path: The folder or the CSV file; unused for ``emoji``.
        root: Folder that a CSV's paths are relative to; empty means the CSV's own folder.
        layout: What the folders of ``folder`` data are: ``auto`` tells splits from classes by their names and refuses a
            mixture, ``classes`` takes the outermost folders for classes whatever their names are.
        protocol: How test images query each other; ``auto`` picks from what the data says.
        split: What a made-up split holds out when the data brings none: whole classes (retrieval of things never
            seen in training) or images of every class. ``auto``: classes when there are at least 20, else images.
        test_share: Share of classes or images that a made-up test split takes.
        validation_share: Share of the remaining classes or images that a made-up validation split takes.
        validation_classes: Emoji only: how many of the 965 training classes are held out for validation.
        seed: Decides every made-up split.
        skip_unreadable: Leave out files that cannot be decoded and count them, instead of refusing the data set.
        decoded_limit_gb: Sets up to this size (decoded, in 10^9 bytes) are kept as one memory-mapped file; larger
            ones are decoded whenever they are read.
    """

    kind: Literal["emoji", "folder", "csv"]
    path: str = ""
    root: str = ""
    layout: Literal["auto", "classes"] = "auto"
    protocol: Protocol = "auto"
    split: Literal["auto", "class", "image"] = "auto"
    test_share: float = 0.3
    validation_share: float = 0.1
    validation_classes: int = 80
    seed: int = 0
    skip_unreadable: bool = False
    decoded_limit_gb: float = 4.0

    def require_valid(self) -> None:
        """Refuse values that make no sense, all at once.

        Raises:
            InputError: With one line a problem.
        """
        problems: list[str] = []
        if self.kind != "emoji" and not self.path:
            problems.append(f"path: expected the {'folder' if self.kind == 'folder' else 'CSV file'} of the images")
        if self.layout != "auto" and self.kind != "folder":
            problems.append(f"layout: expected auto, got {self.layout}; it says what the folders of folder data are")
        for name in ("test_share", "validation_share"):
            share = getattr(self, name)
            if not 0 < share < 1:
                problems.append(f"{name}: expected a share between 0 and 1, got {share}")
        if not 2 <= self.validation_classes <= EMOJI_TRAIN_CLASSES - 2:
            problems.append(
                f"validation_classes: expected 2 to {EMOJI_TRAIN_CLASSES - 2} of the {EMOJI_TRAIN_CLASSES} training "
                f"emoji, got {self.validation_classes}"
            )
        if self.decoded_limit_gb < 0:
            problems.append(f"decoded_limit_gb: expected 0 or more, got {self.decoded_limit_gb}")
        if problems:
            raise InputError("the data's configuration is not valid:", problems)
