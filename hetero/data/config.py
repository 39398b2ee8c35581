"""The place of the images and their splits."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Interval

from hetero.constraints import NotNegative, ProperShare, Seed, Text
from hetero.data.names import is_text
from hetero.errors import InputError
from hetero.schema import settings

EMOJI_TRAIN_CLASSES = 965
Kind = Literal["emoji", "folder", "csv", "webdataset", "parquet", "index"]
Layout = Literal["auto", "classes", "flat"]
Protocol = Literal["auto", "cross-view", "leave-one-out", "query-gallery"]


_SHARDS = ("webdataset", "parquet")
_PATHS = {
    "folder": "the folder of the images",
    "csv": "the CSV file of the images",
    "webdataset": "the tar shards, as a pattern or a folder",
    "parquet": "the Parquet or Arrow files, as a pattern or a folder",
    "index": "an index that hetero data index wrote",
}


def path_text(path: Path) -> str:
    """Return an absolute path as the text that a recipe stores.

    Raises:
        InputError: When it is not UTF-8, because a recipe is text.
    """
    text = str(path.resolve())
    if not is_text(text):
        raise InputError(f"the path {text!a} is not UTF-8; rename the folder, or give a link to it")
    return text


@settings
class DataConfig:
    """A data set in a recipe.

    Attributes:
        kind: ``emoji`` renders the built-in set; ``folder`` reads an image folder; ``csv`` reads a table of images;
            ``webdataset`` reads tar shards; ``parquet`` reads Parquet or Arrow files; ``index`` reads the images of an
            index that ``hetero data index`` wrote.
        path: The folder, the CSV file, the shards (a pattern or a folder) or the index, on the disk or as the URL of a
            store; unused for ``emoji``.
        root: Folder that a CSV's paths are relative to; empty means the CSV's own folder.
        extra: Folders of further images without labels, at any depth, that join the training images.
        layout: Meaning of the folders in ``folder`` data: ``auto`` distinguishes splits from classes by their names
            and refuses a mixture, ``classes`` takes the outermost folders as classes whatever their names are,
            ``flat`` takes every image as one without a label, whatever folder it lies in.
        label: Column of ``parquet``, or field of ``.json`` members of ``webdataset``, that holds the label.
        image: Column of ``parquet`` that holds the image files; empty to take the only one.
        protocol: Retrieval protocol of test images; ``auto`` chooses by the data. Altered copies are the queries for
            images without labels.
        split: Held-out part of a generated split, where the data have none: whole classes (retrieval of things never
            seen in training) or images of every class. ``auto`` takes classes when there are at least 20, else images.
            Without labels, images are held out.
        test_share: Share of classes or images in a generated test split.
        validation_share: Share of the remaining classes or images in a generated validation split.
        validation_classes: Emoji only: number of the 965 training classes that are held out for validation.
        seed: Decides every generated split.
        skip_unreadable: Leave out files that cannot be decoded and count them, instead of refusing the data set.
        decoded_limit_gb: Decoded images are kept in the cache up to this size, in 10^9 bytes. Of a larger set the rows
            that fit are kept, and the others decoded whenever they are read.
    """

    kind: Kind
    path: str = ""
    root: str = ""
    extra: tuple[Text, ...] = ()
    layout: Layout = "auto"
    label: Text = "label"
    image: str = ""
    protocol: Protocol = "auto"
    split: Literal["auto", "class", "image"] = "auto"
    test_share: ProperShare = 0.3
    validation_share: ProperShare = 0.1
    validation_classes: Annotated[int, Interval(ge=2, le=EMOJI_TRAIN_CLASSES - 2)] = 80
    seed: Seed = 0
    skip_unreadable: bool = False
    decoded_limit_gb: NotNegative = 4.0

    def anchored(self, folder: Path) -> DataConfig:
        """Return the data with relative paths resolved from a folder."""

        def anchor(path: str) -> str:
            if not path or "://" in path:
                return path
            # A pattern is no path, and its links are left.
            return os.path.abspath(folder / path) if self.kind in _SHARDS else str((folder / path).resolve())  # noqa: PTH100

        extra = tuple(anchor(path) for path in self.extra)
        return replace(self, path=anchor(self.path), root=anchor(self.root), extra=extra)

    def rules(self) -> list[str]:
        """Return one problem for each rule between fields that is broken."""
        problems: list[str] = []
        if self.kind != "emoji" and not self.path:
            problems.append(f"path: expected {_PATHS[self.kind]}, got nothing")
        if self.extra and (self.kind not in ("folder", "csv") or "://" in self.path):
            beside = "the built-in emoji, which are drawn" if self.kind == "emoji" else f"a {self.kind} of this kind"
            problems.append(f"extra: expected none beside {beside}; photos join folders and tables on the disk")
        if (self.label != "label" or self.image) and self.kind not in _SHARDS:
            problems.append(f"label, image: expected none for {self.kind}; they name columns of shards")
        if self.layout != "auto" and self.kind != "folder":
            problems.append(f"layout: expected auto, got {self.layout}; it says what the folders of folder data are")
        return problems
