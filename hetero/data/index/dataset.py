"""A data set of the images of an index: labels as arrays, names and pixels read when they are asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from hetero.data.assemble import EVERYWHERE, assembled_fingerprint, tasks_of, with_tasks
from hetero.data.config import DataConfig
from hetero.data.decoding.decode import decoding_key
from hetero.data.decoding.kept import kept_pixels
from hetero.data.decoding.lazy import LazyImages
from hetero.data.decoding.parallel import in_parallel
from hetero.data.images import Dataset, ImageSet
from hetero.data.index.image_index import ImageIndex
from hetero.data.index.read import IndexDecoder, IndexReader, row_chunks
from hetero.data.index.readable import without_unreadable_rows
from hetero.data.protocols import Protocolled, Roles
from hetero.data.sources.rows import Rows
from hetero.data.sources.split_names import JUDGED, SETS, Split
from hetero.data.splits import with_splits
from hetero.files import digest, sha256_bytes
from hetero.preprocessing import Preprocessing

_NUMBERED = re.compile(r"@\d+$")


def index_fingerprint(index: ImageIndex, rows: Rows, config: DataConfig, preprocessing: Preprocessing) -> str:
    """Return a digest of everything that :func:`assemble_index` reads, without reading an image."""
    content = [index.fingerprint(), sha256_bytes(rows.splits.tobytes())]
    return assembled_fingerprint(content, config, preprocessing, rows.labelled)


def assemble_index(index: ImageIndex, config: DataConfig, preprocessing: Preprocessing, cache: Path) -> Dataset:
    """Build sets and tasks; images are decoded when they are read.

    Args:
        index: The images.
        config: Splits, ``protocol``, ``skip_unreadable`` and ``decoded_limit_gb`` are used.
        preprocessing: Preparation of the images.
        cache: Folder that keeps decoded images.

    Raises:
        InputError: When the data has no splits to train and test on, or no query can be answered.
    """
    rows = with_splits(index.rows(), config)
    fingerprint = index_fingerprint(index, rows, config, preprocessing)
    if config.skip_unreadable:
        rows = without_unreadable_rows(index, rows, preprocessing, cache)
    parts = [rows.of(split) for split in SETS]
    order = np.concatenate(parts)
    source = IndexSource(index, order, cache, int(config.decoded_limit_gb * 1e9), 0, len(order))
    bounds = np.cumsum([0, *map(len, parts)]).tolist()
    images = source.prepared(preprocessing)
    train, validation, test = (
        _image_set(
            index,
            order[start:stop],
            images.select(slice(start, stop)),
            source.part(start, stop),
            preprocessing,
            digest([fingerprint, number]),
        )
        for number, (start, stop) in enumerate(pairwise(bounds))
    )
    protocols: dict[Split, Protocolled] = {split: index_tasks(index, rows, split, config) for split in JUDGED}
    return with_tasks(rows.name, (train, validation, test), protocols, config, fingerprint, rows.notes)


def index_tasks(index: ImageIndex, rows: Rows, split: Split, config: DataConfig) -> Protocolled:
    """Choose the protocol of a split and build its tasks.

    Raises:
        InputError: When the data lacks what the protocol needs, or no query can be answered.
    """
    own = rows.of(split)
    role = index.columns["role"][own]
    has_roles = len(own) > 0 and bool((role > 0).all())
    view_names, views = _used(index.record.views, index.columns["view"][own])
    roles = Roles(
        np.asarray(rows.labels[own]),
        views,
        view_names,
        (role & 1) > 0 if has_roles else None,
        (role & 2) > 0 if has_roles else None,
    )
    return tasks_of(roles, split, config, labelled=rows.labelled(split), name=rows.name)


@dataclass(frozen=True)
class IndexSource:
    """A source of some images of an index.

    Attributes:
        index: The index.
        order: int64 [n], rows of the index: training images first, since they are read most often, and the first are
            kept when they have been decoded.
        cache: Folder that keeps decoded images.
        limit: Most bytes of decoded images to keep.
        start: The first place of this part in ``order``.
        stop: The place after its last.
    """

    index: ImageIndex
    order: Int64[np.ndarray, " n"]
    cache: Path
    limit: int
    start: int
    stop: int

    def part(self, start: int, stop: int) -> IndexSource:
        """Return the source of these places only."""
        return IndexSource(self.index, self.order, self.cache, self.limit, start, stop)

    def prepared(self, preprocessing: Preprocessing) -> LazyImages:
        """Return the images as another model takes them; none is decoded before it is read."""
        key = digest([self.index.fingerprint(), sha256_bytes(self.order.tobytes()), decoding_key(preprocessing)])
        shape = (len(self.order), preprocessing.height, preprocessing.width, 3)
        kept = kept_pixels(self.cache, key, shape, self.limit)
        decoder = IndexDecoder(IndexReader(self.index), preprocessing, self.order)
        return LazyImages(decoder, np.arange(self.start, self.stop), preprocessing, kept)

    def originals(self, preprocessing: Preprocessing) -> LazyImages:
        """Return the images to be cropped; none is kept."""
        decoder = IndexDecoder(IndexReader(self.index), preprocessing, self.order)
        return LazyImages(decoder, np.arange(self.start, self.stop), preprocessing)

    def sizes(self) -> Int64[np.ndarray, "m 2"]:
        """Read the sizes from the images' headers."""
        reader, rows = IndexReader(self.index), self.order[self.start : self.stop]
        parts = in_parallel(lambda chunk: list(reader.sizes(chunk)), row_chunks(rows))
        sizes = [size for part in parts for size in part]
        return np.array(sizes, np.int64).reshape(-1, 2)


def _image_set(
    index: ImageIndex,
    rows: Int64[np.ndarray, " n"],
    images: LazyImages,
    source: IndexSource,
    preprocessing: Preprocessing,
    fingerprint: str,
) -> ImageSet:
    names, reader = index.names.select(rows), IndexReader(index)
    classes, labels = _used(index.record.classes, index.label[rows])
    without = np.flatnonzero(labels < 0)
    if len(without):
        # Images of equal content and box share a class, as those of a listing do.
        pixels = [index.columns[name][rows[without]] for name in ("content", "box") if name in index.columns]
        keys = np.hstack([np.ascontiguousarray(values).view(np.uint8) for values in pixels])
        _, group = np.unique(keys, axis=0, return_inverse=True)
        labels[without] = len(classes) + group.reshape(-1)
    view_names, views = _used(index.record.views, index.columns["view"][rows])

    def original(row: int) -> bytes | None:
        name = _NUMBERED.sub("", names[row]).lower()
        if index.box(int(rows[row])) is not None or not name.endswith(EVERYWHERE):
            return None
        return next(reader.read(rows[row : row + 1]))

    return ImageSet(
        images, labels, classes, views, view_names, names, fingerprint, preprocessing, source, original=original
    )


def _used(names: tuple[str, ...], numbers: NDArray[np.int32]) -> tuple[tuple[str, ...], Int64[np.ndarray, " n"]]:
    """Return the names that occur, in order, and each number as the place of its name; -1 stays."""
    present = np.unique(numbers[numbers >= 0])
    order = sorted(present.tolist(), key=names.__getitem__)
    place = np.full(len(names) + 1, -1, np.int64)
    place[order] = np.arange(len(order))
    return tuple(names[number] for number in order), place[numbers]
