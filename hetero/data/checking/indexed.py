"""Checks the images of an index; what is known of each is a row of a column."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Int64, UInt8

from hetero.data.checking.look import PROBE, Look, joined_grey, look_at
from hetero.data.checking.report import DataReport, Duplicate, SplitReport
from hetero.data.checking.tasks import task_reports
from hetero.data.config import DataConfig
from hetero.data.decoding.grey import DeepGrey, Range
from hetero.data.decoding.parallel import in_parallel
from hetero.data.index.dataset import index_tasks
from hetero.data.index.image_index import ImageIndex
from hetero.data.index.read import IndexReader, row_chunks
from hetero.data.sources.rows import LEFT_OUT, SPLITS, Rows
from hetero.data.sources.split_names import SETS, Split
from hetero.data.splits import with_splits
from hetero.errors import InputError
from hetero.preprocessing import grey_range_problems


def check_index(index: ImageIndex, config: DataConfig, *, grey_range: Range | None = None) -> DataReport:
    """Open every image of an index and report on the whole, as :func:`hetero.data.checking.check.check` does.

    Args:
        index: The images.
        config: Its splits and protocol are used.
        grey_range: See :class:`hetero.preprocessing.Preprocessing`.

    Raises:
        InputError: When the data cannot be split at all.
    """
    rows = with_splits(index.rows(), config)
    if problems := grey_range_problems(grey_range):
        raise InputError(problems[0])
    used = np.flatnonzero(rows.splits != LEFT_OUT)
    seen = _seen(index, used, grey_range)
    problems = [problem for problem in [seen.grey.problem(grey_range) if seen.grey else ""] if problem]
    readable = rows
    if seen.unreadable:
        note = f"{len(seen.unreadable)} unreadable images skipped of {len(used)}"
        readable = rows.moved(np.array(list(seen.unreadable)), None, note)
        try:
            readable.require_classes()
        except InputError as error:
            problems.append(str(error))
        if not config.skip_unreadable:
            problems.append(f"{len(seen.unreadable)} of {len(used)} images cannot be read")
    within, leaks = _duplicates(readable, np.delete(used, seen.failed), np.delete(seen.contents, seen.failed, axis=0))
    tasks = task_reports(lambda split: index_tasks(index, readable, split, config), problems)
    return DataReport(
        name=rows.name,
        layout=index.record.layout,
        splits={split: _split(index, readable, split) for split in SETS},
        tasks=tasks,
        widths=seen.widths,
        heights=seen.heights,
        modes=dict(seen.modes.most_common()),
        turned=seen.turned,
        grey=seen.grey,
        black=seen.black,
        unreadable={index.names[row]: reason for row, reason in seen.unreadable.items()},
        duplicates_within=within,
        leaks=leaks,
        notes=readable.notes,
        problems=tuple(problems),
    )


@dataclass
class _Seen:
    """What was seen of all images.

    Attributes:
        contents: uint8 [n, 32], SHA-256 of each image's file and box.
        widths: Smallest and largest.
        heights: Smallest and largest.
        modes: Images by colour mode.
        turned: Images that an EXIF orientation turns.
        black: Images that are nearly black.
        grey: Values of deep grey files.
        unreadable: Reason of each image that cannot be read, by row.
        failed: Their places among the images that were looked at.
    """

    contents: UInt8[np.ndarray, "n 32"]
    widths: tuple[int, int] = (0, 0)
    heights: tuple[int, int] = (0, 0)
    modes: Counter[str] = field(default_factory=Counter[str])
    turned: int = 0
    black: int = 0
    grey: DeepGrey | None = None
    unreadable: dict[int, str] = field(default_factory=dict[int, str])
    failed: list[int] = field(default_factory=list[int])

    def add(self, place: int, row: int, look: Look) -> None:
        if look.error:
            self.unreadable[row] = look.error
            self.failed.append(place)
            return
        self.contents[place] = np.frombuffer(bytes.fromhex(look.content), np.uint8)
        self.widths = _wider(self.widths, look.width)
        self.heights = _wider(self.heights, look.height)
        self.modes[look.mode] += 1
        self.turned += look.turned
        self.black += look.black
        self.grey = joined_grey([self.grey, look.grey])


def _seen(index: ImageIndex, rows: Int64[np.ndarray, " n"], grey_range: Range | None) -> _Seen:
    preprocessing, reader = replace(PROBE, grey_range=grey_range), IndexReader(index)

    def looks(chunk: Int64[np.ndarray, " b"]) -> list[Look]:
        pairs = zip(chunk.tolist(), reader.read(chunk), strict=True)
        return [look_at(data, index.names[row], preprocessing, index.box(row)) for row, data in pairs]

    seen = _Seen(np.zeros((len(rows), 32), np.uint8))
    chunks = row_chunks(rows)
    parts = in_parallel(looks, chunks, progress=f"checking {index.record.name}", unit="batch", ahead=2)
    place = 0
    for chunk, part in zip(chunks, parts, strict=True):
        for row, look in zip(chunk.tolist(), part, strict=True):
            seen.add(place, row, look)
            place += 1
    return seen


def _wider(values: tuple[int, int], value: int) -> tuple[int, int]:
    return min(values[0] or value, value), max(values[1], value)


def _split(index: ImageIndex, rows: Rows, split: Split) -> SplitReport:
    own = rows.of(split)
    labels = rows.labels[own]
    _, sizes = np.unique(labels[labels >= 0], return_counts=True)
    views = np.bincount(index.columns["view"][own], minlength=len(index.record.views)).tolist()
    by_view = {name: count for name, count in zip(index.record.views, views, strict=True) if count}
    return SplitReport(
        images=len(own),
        unlabelled=int((labels < 0).sum()),
        classes=len(sizes),
        images_per_class=(int(sizes.min()), float(np.median(sizes)), int(sizes.max())) if len(sizes) else (0, 0.0, 0),
        single_image_classes=int((sizes == 1).sum()),
        views={} if set(by_view) <= {""} else dict(sorted(by_view.items())),
    )


def _duplicates(
    rows: Rows, own: Int64[np.ndarray, " n"], contents: UInt8[np.ndarray, "n 32"]
) -> tuple[int, tuple[Duplicate, ...]]:
    """Return the number of groups of equal files within a split, and the groups in several."""
    if not len(own):
        return 0, ()
    digests = np.ascontiguousarray(contents).view("S32").reshape(-1)
    order = np.argsort(digests, kind="stable")
    starts = np.flatnonzero(np.append(True, digests[order[1:]] != digests[order[:-1]]))
    splits = rows.splits[own][order]
    sizes = np.diff(np.append(starts, len(order)))
    several = np.maximum.reduceat(splits, starts) != np.minimum.reduceat(splits, starts)
    leaks: list[Duplicate] = []
    for start, size in zip(starts[several].tolist(), sizes[several].tolist(), strict=True):
        group = own[order[start : start + size]]
        group = group[np.lexsort((group, rows.splits[group]))]
        between = sorted({SPLITS[split] for split in rows.splits[group].tolist()})
        leaks.append(Duplicate(tuple(rows.names_of(group)), tuple(between)))
    return int((sizes > 1).sum()) - len(leaks), tuple(leaks)
