"""Checks a data set before training on it."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, Literal

from hetero.data.assemble import split_tasks, without_unreadable
from hetero.data.checking.indexed import check_index
from hetero.data.checking.look import PROBE, Look, joined_grey, look_at, span
from hetero.data.checking.report import DataReport, Duplicate, SplitReport, TaskReport
from hetero.data.checking.tasks import task_reports
from hetero.data.config import DataConfig, Kind
from hetero.data.decoding.grey import Range
from hetero.data.decoding.parallel import in_parallel
from hetero.data.images import Dataset, ImageSet
from hetero.data.index.build import index_of, is_indexed
from hetero.data.index.image_index import RECORD
from hetero.data.index.places import is_remote
from hetero.data.index.tables import SUFFIXES
from hetero.data.prepare import find
from hetero.data.sources.emoji import RENDERED_SIZE, prepare_emoji
from hetero.data.sources.listing import ListedImage, Listing
from hetero.data.sources.split_names import SETS, Split
from hetero.data.splits import assign_splits
from hetero.errors import InputError
from hetero.files import cache_directory
from hetero.preprocessing import Preprocessing, grey_range_problems

_FEW = 64


def check(config: DataConfig, *, grey_range: Range | None = None) -> DataReport:
    """Open every image of a data set and report on the whole.

    Args:
        config: The data; splits and protocol are the same as in :func:`hetero.data.prepare.prepare`.
        grey_range: See :class:`hetero.preprocessing.Preprocessing`.

    Raises:
        InputError: When the data cannot be found or split at all.
    """
    if config.kind == "emoji":
        return _check_emoji(config)
    if is_indexed(config):
        return check_index(index_of(config, cache_directory()), config, grey_range=grey_range)
    listing = assign_splits(find(config), config)
    if problems := grey_range_problems(grey_range):
        raise InputError(problems[0])
    look = partial(_look, preprocessing=replace(PROBE, grey_range=grey_range))
    looks = list(in_parallel(look, listing.entries, progress=f"checking {listing.name}"))
    unreadable = {position: look.error for position, look in enumerate(looks) if look.error}
    grey = joined_grey(look.grey for look in looks)
    problems = [problem for problem in [grey.problem(grey_range) if grey else ""] if problem]
    readable = listing
    try:
        if unreadable:
            readable = without_unreadable(listing, unreadable, skip=True)
    except InputError as error:
        problems.append(str(error))
    if unreadable and not config.skip_unreadable:
        problems.append(f"{len(unreadable)} of {len(looks)} images cannot be read")
    within, leaks = _duplicates(listing, looks)
    good = [look for look in looks if not look.error]
    return DataReport(
        name=listing.name,
        layout=listing.layout,
        splits={split: _split(readable.of(split)) for split in SETS},
        tasks=task_reports(lambda split: split_tasks(readable, split, config), problems),
        widths=span([look.width for look in good]),
        heights=span([look.height for look in good]),
        modes=dict(Counter(look.mode for look in good).most_common()),
        turned=sum(look.turned for look in good),
        grey=grey,
        black=sum(look.black for look in good),
        unreadable={listing.entries[position].name: reason for position, reason in unreadable.items()},
        duplicates_within=within,
        leaks=leaks,
        notes=readable.notes,
        problems=tuple(problems),
    )


def _check_emoji(config: DataConfig) -> DataReport:
    size = Preprocessing(RENDERED_SIZE, RENDERED_SIZE)
    dataset = prepare_emoji(config, size)
    sets: dict[Split, ImageSet] = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    entries: list[ListedImage] = []
    looks: list[Look] = []
    for split, images in sets.items():
        for row, name in enumerate(images.names):
            label, view = images.classes[images.labels[row]], images.view_names[images.views[row]]
            entries.append(ListedImage(Path(name), name, label, split, view))
            pixels = images.images[row : row + 1].tobytes()
            looks.append(Look(size.width, size.height, "RGB", content=hashlib.sha256(pixels).hexdigest()))
    listing = Listing("emoji", "drawn from fonts: CODEPOINT/DESIGN", tuple(entries))
    within, leaks = _duplicates(listing, looks)
    return DataReport(
        name=listing.name,
        layout=listing.layout,
        splits={split: _split(listing.of(split)) for split in SETS},
        tasks=_emoji_tasks(dataset),
        widths=(size.width, size.width),
        heights=(size.height, size.height),
        modes={"RGB": len(entries)},
        turned=0,
        grey=None,
        black=0,
        unreadable={},
        duplicates_within=within,
        leaks=leaks,
        notes=dataset.notes,
        problems=(),
    )


def _emoji_tasks(dataset: Dataset) -> tuple[TaskReport, ...]:
    tasks = {"validation": dataset.validation_tasks, "test": dataset.test_tasks}
    return tuple(
        TaskReport(split, "cross-view", task.name, len(task.query), len(task.gallery), 0)
        for split, of_split in tasks.items()
        for task in of_split
    )


def _look(entry: ListedImage, preprocessing: Preprocessing) -> Look:
    try:
        data = entry.path.read_bytes()
    except OSError as error:
        return Look(error="no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error))
    return look_at(data, entry.name, preprocessing, entry.box)


def _split(entries: list[ListedImage]) -> SplitReport:
    sizes = sorted(Counter(entry.label for entry in entries if entry.label).values())
    views = Counter(entry.view for entry in entries)
    return SplitReport(
        images=len(entries),
        unlabelled=sum(not entry.label for entry in entries),
        classes=len(sizes),
        images_per_class=(sizes[0], float(median(sizes)), sizes[-1]) if sizes else (0, 0.0, 0),
        single_image_classes=sizes.count(1),
        views={} if set(views) <= {""} else dict(sorted(views.items())),
    )


def _duplicates(listing: Listing, looks: list[Look]) -> tuple[int, tuple[Duplicate, ...]]:
    groups: dict[str, list[ListedImage]] = {}
    for entry, look in zip(listing.entries, looks, strict=True):
        if not look.error:
            groups.setdefault(look.content, []).append(entry)
    repeated = [group for group in groups.values() if len(group) > 1]
    leaks = [
        Duplicate(tuple(entry.name for entry in group), tuple(sorted({entry.split for entry in group})))
        for group in repeated
        if len({entry.split for entry in group}) > 1
    ]
    return len(repeated) - len(leaks), tuple(leaks)


def config_for(path: Path | str, *, kind: Literal["auto", Kind] = "auto", **rest: Any) -> DataConfig:
    """Return the configuration for a path or URL: a table, shards, an index or a folder of images."""
    return DataConfig(kind=_kind_of(str(path)) if kind == "auto" else kind, path=str(path), **rest)


def _kind_of(path: str) -> Kind:
    if path.lower().endswith(".csv"):
        return "csv"
    names = [path] if is_remote(path) else [path, *_first_names(Path(path))]
    if any(name.endswith(".tar") for name in names):
        return "webdataset"
    if any(name.endswith(SUFFIXES) for name in names):
        return "parquet"
    return "index" if not is_remote(path) and (Path(path) / RECORD).is_file() else "folder"


def _first_names(folder: Path) -> list[str]:
    """Return names in a folder and in those below it, only the first few of very many."""
    if not folder.is_dir():
        return []
    inside = list(islice(folder.iterdir(), _FEW))
    below = [file for place in inside if place.is_dir() for file in islice(place.iterdir(), _FEW)]
    return [file.name for file in (*inside, *below)]
