"""``hetero data check``: look at data before training on it."""

from __future__ import annotations

import json as json_format
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from cyclopts.types import NonNegativeInt

from hetero.data.checking.check import check, config_for
from hetero.data.checking.report import DataReport
from hetero.data.checking.text import as_text
from hetero.data.config import DataConfig, Kind, Layout
from hetero.display.text import say
from hetero.errors import InputError

Flag = Annotated[bool, Parameter(negative="")]


def check_command(
    path: str | None = None,
    *,
    emoji: Flag = False,
    kind: Literal["auto", Kind] = "auto",
    label: str = "label",
    image: str = "",
    root: str = "",
    extra: tuple[Path, ...] = (),
    layout: Layout = "auto",
    protocol: Literal["auto", "cross-view", "leave-one-out", "query-gallery"] = "auto",
    split: Literal["auto", "class", "image"] = "auto",
    seed: NonNegativeInt = 0,
    grey_range: tuple[float, float] | None = None,
    skip_unreadable: Flag = False,
    json: Flag = False,
) -> int:
    """Report the contents of a data set, and the problems that prevent training on it.

    Opens every image. Reports splits, images without labels, classes, images per class, views, sizes, colour modes,
    unreadable files, files of equal content in several splits (training images would be tested on), and the retrieval
    tasks.

    Example: hetero data check photos

    Example: hetero data check photos.csv --root images --json

    Args:
        path: A folder of class folders (with or without train, validation and test above them) or of images without
            labels; a CSV file with the columns label, split, path, is_query, is_gallery; tar shards of WebDataset,
            Parquet or Arrow files of datasets, as a pattern in quotes or their folder; or an index that hetero data
            index wrote. Each but the last may be the URL of a store.
        emoji: Check the built-in emoji set instead.
        kind: What the path is; auto tells by the names of the files.
        label: Column of Parquet, or field of .json members in tar shards, that holds the label.
        image: Column of Parquet that holds the images, where there are several.
        root: Folder that the CSV's paths are relative to; default its own.
        extra: A folder of further images without labels that join training; may be given several times.
        layout: Meaning of the folders inside a folder: auto distinguishes splits (train, Val, test_images, ...) from
            classes by their names; classes takes the outermost ones as classes whatever their names are; flat takes
            every image as one without a label.
        protocol: Retrieval protocol; auto chooses by the data.
        split: Held-out part of a generated split: whole classes, or images of every class.
        seed: Decides generated splits.
        grey_range: Values that become black and white in grey files of more than 8 bits.
        skip_unreadable: Do not count unreadable files as a problem.
        json: Print JSON.

    Raises:
        InputError: When the data cannot be used; lists every problem.
    """
    if emoji == (path is not None):
        raise InputError("expected either the PATH of a folder or CSV file, or --emoji")
    options: dict[str, Any] = {
        "label": label,
        "image": image,
        "extra": tuple(map(str, extra)),
        "layout": layout,
        "protocol": protocol,
        "split": split,
        "seed": seed,
        "skip_unreadable": skip_unreadable,
    }
    config = DataConfig(kind="emoji") if path is None else config_for(path, kind=kind, root=root, **options)
    report = check(config, grey_range=grey_range)
    if json:
        print(json_format.dumps(report.to_dict(), indent=2, ensure_ascii=False))
    else:
        say(as_text(report))
    sys.stdout.flush()
    _require_usable(report, listed=not json)
    return 0


def _require_usable(report: DataReport, *, listed: bool) -> None:
    if not report.problems:
        return
    unreadable = [] if listed else [f"{name}: {reason}" for name, reason in report.unreadable.items()]
    raise InputError(f"{report.name} cannot be used as it is:", [*report.problems, *unreadable])
