"""The common entry point to all data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hetero.data.assemble import assemble, listing_fingerprint
from hetero.data.config import DataConfig
from hetero.data.contents import contents
from hetero.data.images import Dataset
from hetero.data.index.build import index_of, is_indexed
from hetero.data.index.dataset import assemble_index, index_fingerprint
from hetero.data.joined_names import JoinedNames, NamesOfCopies
from hetero.data.sources.csv import read_csv
from hetero.data.sources.emoji import emoji_fingerprint, prepare_emoji
from hetero.data.sources.folder import read_folder
from hetero.data.sources.listing import ListedImage, Listing, unique_names
from hetero.data.sources.rows import Rows
from hetero.data.sources.split_names import JUDGED, SETS
from hetero.data.sources.walk import image_files, printable
from hetero.data.splits import assign_splits, with_splits
from hetero.errors import InputError
from hetero.files import cache_directory
from hetero.mistakes import attempt
from hetero.preprocessing import Preprocessing
from hetero.recognition.kinds import PHOTOS, TABLE
from hetero.recognition.recognise import refuse_others


def prepare(config: DataConfig, preprocessing: Preprocessing, *, cache: Path | None = None) -> Dataset:
    """Find, split, decode and check a data set.

    Args:
        config: The data and their splits.
        preprocessing: Size of the images and manner of resizing.
        cache: Folder that keeps decoded images; default :func:`hetero.files.cache_directory`.

    Raises:
        InputError: With every problem of the data at once.
    """
    folder = cache or cache_directory()
    if config.kind == "emoji":
        return prepare_emoji(config, preprocessing, folder)
    if is_indexed(config):
        return assemble_index(index_of(config, folder), config, preprocessing, folder)
    return assemble(_identified(config, folder), config, preprocessing, folder)


def fingerprint(config: DataConfig, preprocessing: Preprocessing, *, cache: Path | None = None) -> str:
    """Return a digest of everything that :func:`prepare` would read, without decoding an image.

    Files count by their contents: see :mod:`hetero.data.contents`.

    Args:
        config: The data and their splits.
        preprocessing: Size of the images and manner of resizing.
        cache: Folder that keeps digests of files; default :func:`hetero.files.cache_directory`.

    Raises:
        InputError: When the data cannot be found.
    """
    if config.kind == "emoji":
        return emoji_fingerprint(config, preprocessing)
    if is_indexed(config):
        index = index_of(config, cache or cache_directory())
        return index_fingerprint(index, with_splits(index.rows(), config), config, preprocessing)
    return listing_fingerprint(_identified(config, cache or cache_directory()), config, preprocessing)


def expected_names(config: DataConfig, *, copies: int = 0) -> Sequence[str]:
    """Return the names of all images that a cloud model has to embed, without opening any.

    Args:
        config: The data, of which no image is skipped; names of an index stay on the disk.
        copies: Changed copies of each training image.

    Raises:
        InputError: When the data cannot be found.
    """
    rows = split_rows(config)
    names = {split: rows.names_of(rows.of(split)) for split in SETS}
    copied = [NamesOfCopies(names["train"], copy) for copy in range(1, copies + 1)]
    altered = [NamesOfCopies(names[split], 1) for split in JUDGED if not rows.labelled(split)]
    return JoinedNames([*names.values(), *copied, *altered])


def split_rows(config: DataConfig) -> Rows:
    """Return labels, splits and names of a data set as columns, without opening an image; those of an index on disk.

    Raises:
        InputError: When the data cannot be found or split.
    """
    return with_splits(found_rows(config), config)


def found_rows(config: DataConfig) -> Rows:
    """Return labels and names of a data set as columns, with the splits that it states, without opening an image.

    Raises:
        InputError: When the data cannot be found.
    """
    return index_of(config, cache_directory()).rows() if is_indexed(config) else find(config).rows()


def training_labels(config: DataConfig) -> tuple[int, int]:
    """Count the training images without a label, and all training images, without opening any.

    Raises:
        InputError: When the data cannot be found.
    """
    if config.kind == "emoji":
        return 0, 0
    rows = split_rows(config)
    labels = rows.labels[rows.of("train")]
    return int((labels < 0).sum()), len(labels)


def _identified(config: DataConfig, cache: Path) -> Listing:
    """Return the listing with splits and the digests of its files."""
    listing = assign_splits(find(config), config)
    digests = contents([entry.path for entry in listing.entries], cache, progress=f"reading {listing.name}")
    pairs = zip(listing.entries, digests, strict=True)
    return listing.with_entries(replace(entry, content=content) for entry, content in pairs)


def find(config: DataConfig) -> Listing:
    """List the images of a folder or a table on the disk, and of the folders that join training.

    Raises:
        InputError: When a folder or the table is missing, empty or not valid.
    """
    if not config.extra:
        return _find_own(config)
    problems: list[str] = []
    own = attempt(problems, "path", lambda: _find_own(config))
    joining = [attempt(problems, f"extra.{n}", lambda path=path: _joining(path)) for n, path in enumerate(config.extra)]
    if own is None or problems:
        raise InputError("the data is not valid:", problems)
    parts = [part for part in joining if part]
    extra = sorted((entry for entries, _ in parts for entry in entries), key=lambda entry: entry.name)
    return own.with_entries(unique_names([*own.entries, *extra]), *(note for _, notes in parts for note in notes))


def _find_own(config: DataConfig) -> Listing:
    path = Path(config.path).expanduser()
    refuse_others(path, PHOTOS if config.kind == "folder" else TABLE)
    if config.kind == "folder":
        return read_folder(path, config.layout)
    return read_csv(path, Path(config.root).expanduser() if config.root else None)


def _joining(path: str) -> tuple[list[ListedImage], tuple[str, ...]]:
    """List images that join training, named after their folder and their place in it, and notes."""
    folder = Path(path).expanduser()
    files, below = image_files(folder)
    name = printable(folder.resolve().name)
    entries = [ListedImage(file, f"{name}/{printable(file.relative_to(folder))}", "", "unlabelled") for file in files]
    return entries, tuple(f"{name}: {note}" for note in below.notes())
