"""The index of a set of images: columns that say where the bytes of each lie, its label, split and name.

``index.json`` holds classes, views and the digest of each column; a column is a ``.npy`` file that is memory-mapped:

    source, offset, length    the file of the image, its first byte there and its number of bytes
    label, split, view, role  see :class:`hetero.data.index.file_images.FileImages`; -1 for no label
    box                       float64 [n, 4], NaN for the whole picture; absent when no image has one
    content                   SHA-256 of the bytes, or of the file's stamp and the place in it where the store was asked
    names, names_ends         UTF-8 of the unique names, and where each ends
    paths, stamps, sizes      of the files, with ``copied`` for those whose images were copied to ``copies/``
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Int32, UInt8
from numpy.typing import NDArray

from hetero.data.index.columns import Texts, mapped
from hetero.data.index.places import is_remote
from hetero.data.sources.listing import Box
from hetero.data.sources.rows import SPLITS, Rows
from hetero.errors import IntegrityError
from hetero.files import digest, sha256_file
from hetero.schema import parse_file, record

RECORD = "index.json"
COPIES = "copies"
SCHEMA = "hetero/index/1"
COLUMNS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "source": (np.int64, ()),
    "offset": (np.int64, ()),
    "length": (np.int64, ()),
    "label": (np.int32, ()),
    "split": (np.uint8, ()),
    "view": (np.int32, ()),
    "role": (np.uint8, ()),
    "content": (np.uint8, (32,)),
    "box": (np.float64, (4,)),
    "sizes": (np.int64, ()),
    "copied": (np.uint8, ()),
}
"""Type of the values of each column, and shape of a row."""
TEXTS = ("names", "paths", "stamps")
"""The columns of texts."""
_AT_ONCE = 1 << 20
_OF_SOURCES = ("sizes", "copied")
_IDENTITY = ("label", "split", "view", "role", "content", "box", "names", "names_ends")


@record
class IndexRecord:
    """The content of ``index.json``.

    Attributes:
        schema: Version of the format.
        name: Name of the data set for people.
        layout: One line that describes the layout of the data.
        images: Number of images.
        sources: Number of files that they lie in.
        classes: Names that labels index, in the order in which they were met.
        views: Names that views index.
        notes: Notes for the user.
        columns: SHA-256 of each column's file.
    """

    schema: Literal["hetero/index/1"]
    name: str
    layout: str
    images: int
    sources: int
    classes: tuple[str, ...]
    views: tuple[str, ...]
    notes: tuple[str, ...]
    columns: dict[str, str]


@dataclass(frozen=True)
class SourceFile:
    """A file that holds images.

    Attributes:
        path: Local path or URL.
        name: Name within the data set, independent of its place.
        size: Bytes.
        stamp: ``sha256 ...`` of a local file; of a store's, what the store says that changes with the content.
    """

    path: str
    name: str
    size: int
    stamp: str


@dataclass(frozen=True)
class ImageIndex:
    """An index, opened: columns of n images in m files, memory-mapped.

    Attributes:
        directory: Its folder.
        record: The content of ``index.json``.
        columns: The columns by name, except those of texts.
        names: One unique name an image.
        paths: Path or URL of each file.
        stamps: Stamp of each file.
    """

    directory: Path
    record: IndexRecord
    columns: dict[str, NDArray[Any]]
    names: Texts
    paths: Texts
    stamps: Texts

    def __len__(self) -> int:
        return self.record.images

    @property
    def label(self) -> Int32[np.ndarray, " n"]:
        """Index into the record's classes; -1 for no label."""
        return self.columns["label"]

    @property
    def content(self) -> UInt8[np.ndarray, "n 32"]:
        """Digest of each image's bytes, or of what its store says of them."""
        return self.columns["content"]

    @property
    def asked_store(self) -> bool:
        """True if some bytes were not read, and a change of them is noticed only by what their store says."""
        first = next(iter(self.paths), "")
        return is_remote(first) and not self.columns["copied"].all()

    def box(self, row: int) -> Box | None:
        """Return the box of an image; None for the whole picture."""
        if "box" not in self.columns or np.isnan(self.columns["box"][row, 0]):
            return None
        left, top, right, bottom = self.columns["box"][row].tolist()
        return (left, top, right, bottom)

    def file_of(self, source: int) -> str:
        """Return the path or URL of the file in which a source's images are read."""
        if self.columns["copied"][source]:
            return str(self.directory / COPIES / f"{source:06}.bin")
        path = self.paths[source]
        return path if is_remote(path) else str(self.directory / path)

    def rows(self) -> Rows:
        """Return labels, splits and names, which decide what a split holds."""
        labels, splits = self.label.astype(np.int64), np.array(self.columns["split"])
        return Rows(
            self.record.name, self.record.classes, labels, splits, self.names, self.record.views, self.record.notes
        )

    def fingerprint(self) -> str:
        """Return a digest of names, labels, splits and contents, independent of the place of the files."""
        own = {name: value for name, value in self.record.columns.items() if name in _IDENTITY}
        return digest([SCHEMA, self.record.classes, self.record.views, own])


def open_index(directory: Path) -> ImageIndex:
    """Open an index.

    Raises:
        IntegrityError: When a column is damaged, or says what cannot be.
    """
    entry = parse_file(IndexRecord, directory / RECORD)
    expected = {*(set(COLUMNS) - {"box"}), *TEXTS, *(f"{name}_ends" for name in TEXTS)}
    if set(entry.columns) - {"box"} != expected:
        raise IntegrityError(f"{directory / RECORD}: expected the columns {', '.join(sorted(expected))}")
    for name, sha256 in entry.columns.items():
        if not (directory / f"{name}.npy").is_file() or sha256_file(directory / f"{name}.npy") != sha256:
            raise IntegrityError(f"{directory}: the column {name}.npy is damaged; write the index again")
    columns = {name: mapped(directory / f"{name}.npy") for name in entry.columns if name in COLUMNS}
    index = ImageIndex(directory, entry, columns, *(Texts.in_files(directory, name) for name in TEXTS))
    if problems := _problems(index):
        raise IntegrityError(f"{directory} is no index that can be used:", problems)
    return index


def _problems(index: ImageIndex) -> list[str]:
    entry, columns, problems = index.record, index.columns, list[str]()
    for name, values in columns.items():
        dtype, width = COLUMNS[name]
        count = entry.sources if name in _OF_SOURCES else entry.images
        if values.dtype != dtype or values.shape != (count, *width):
            problems.append(f"{name}: expected {np.dtype(dtype)} {(count, *width)}, got {values.dtype} {values.shape}")
    if problems:
        return problems
    counts = {"names": entry.images, "paths": entry.sources, "stamps": entry.sources}
    problems += [f"{name}: expected {counts[name]}" for name in TEXTS if len(getattr(index, name)) != counts[name]]
    limits = {"source": entry.sources, "label": len(entry.classes), "view": len(entry.views), "split": len(SPLITS)}
    for name, limit in {**limits, "role": 4}.items():
        values, lowest = columns[name], -1 if name == "label" else 0
        if len(values) and not lowest <= int(values.min()) <= int(values.max()) < limit:
            problems.append(f"{name}: expected {lowest} to {limit - 1}, got {values.min()} to {values.max()}")
    if len(index) and min(int(columns["offset"].min()), int(columns["length"].min())) < 0:
        problems.append("offset and length: expected none below zero")
    return problems or _beyond(index)


def _beyond(index: ImageIndex) -> list[str]:
    """Return a problem when an image would lie beyond the end of its file; lengths decide how much is read at once."""
    source, offset, length = (index.columns[name] for name in ("source", "offset", "length"))
    sizes = np.array(index.columns["sizes"])
    for number in np.flatnonzero(index.columns["copied"]).tolist():
        copy = Path(index.file_of(number))
        sizes[number] = copy.stat().st_size if copy.is_file() else 0
    if (sizes < 0).any():
        return ["sizes: expected none below zero"]
    for start in range(0, len(index), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        if (outside := np.flatnonzero(offset[part] > sizes[source[part]] - length[part])).size:
            return [f"offset and length: image {start + outside[0]} would end beyond the end of its file"]
    return []


def place_digest(file: SourceFile, offset: int, length: int) -> bytes:
    """Return a digest that stands for bytes that were not read: of the file's stamp and their place in it.

    Of files without an etag the name counts, too, since different ones may have the same size and time.
    """
    name = "" if file.stamp.startswith("etag ") else f" {file.name}"
    return hashlib.sha256(f"{file.stamp} {file.size} {offset} {length}{name}".encode()).digest()
