"""One entrance to all data sets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hetero.data.assemble import assemble, listing_fingerprint
from hetero.data.config import DataConfig
from hetero.data.contents import contents
from hetero.data.csv import read_csv
from hetero.data.emoji import emoji_fingerprint, prepare_emoji
from hetero.data.folder import read_folder
from hetero.data.images import Dataset
from hetero.data.listing import Listing
from hetero.data.splits import assign_splits
from hetero.files import cache_directory
from hetero.preprocessing import Preprocessing


def prepare(config: DataConfig, preprocessing: Preprocessing, *, cache: Path | None = None) -> Dataset:
    """Find, split, decode and check a data set.

    Args:
        config: Which data, and how to split it.
        preprocessing: Size of the images and how they are fitted to it.
        cache: Where decoded images are kept; default :func:`hetero.files.cache_directory`.

    Raises:
        InputError: With every problem of the data at once.
    """
    kept = cache or cache_directory()
    if config.kind == "emoji":
        return prepare_emoji(config, preprocessing, kept)
    return assemble(_identified(config, kept), config, preprocessing, kept)


def fingerprint(config: DataConfig, preprocessing: Preprocessing, *, cache: Path | None = None) -> str:
    """Digest of everything that :func:`prepare` would read, without decoding an image.

    Files count with what they hold: see :mod:`hetero.data.contents`.

    Args:
        config: Which data, and how to split it.
        preprocessing: Size of the images and how they are fitted to it.
        cache: Where digests of files are kept; default :func:`hetero.files.cache_directory`.

    Raises:
        InputError: When the data cannot be found.
    """
    if config.kind == "emoji":
        return emoji_fingerprint(config, preprocessing)
    return listing_fingerprint(_identified(config, cache or cache_directory()), config, preprocessing)


def _identified(config: DataConfig, cache: Path) -> Listing:
    """The listing, with splits and with the contents of its files."""
    listing = assign_splits(find(config), config)
    digests = contents([entry.path for entry in listing.entries], cache, progress=f"reading {listing.name}")
    pairs = zip(listing.entries, digests, strict=True)
    return listing.with_entries(replace(entry, content=content) for entry, content in pairs)


def find(config: DataConfig) -> Listing:
    """List the images of a folder or a table, as they lie there.

    Raises:
        InputError: When the folder or table is missing, empty or wrong.
    """
    path = Path(config.path).expanduser()
    if config.kind == "folder":
        return read_folder(path, only_classes=config.layout == "classes")
    return read_csv(path, Path(config.root).expanduser() if config.root else None)
