"""One entrance to all data sets."""

from __future__ import annotations

from pathlib import Path

from hetero.data.assemble import assemble, listing_fingerprint
from hetero.data.config import DataConfig
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
    return assemble(assign_splits(find(config), config), config, preprocessing, kept)


def fingerprint(config: DataConfig, preprocessing: Preprocessing) -> str:
    """Digest of everything that :func:`prepare` would read, without decoding an image.

    Files count with their size and time of modification: touching a file makes the data new.

    Raises:
        InputError: When the data cannot be found.
    """
    if config.kind == "emoji":
        return emoji_fingerprint(config, preprocessing)
    return listing_fingerprint(assign_splits(find(config), config), config, preprocessing)


def find(config: DataConfig) -> Listing:
    """List the images of a folder or a table, as they lie there.

    Raises:
        InputError: When the folder or table is missing, empty or wrong.
    """
    path = Path(config.path).expanduser()
    if config.kind == "folder":
        return read_folder(path)
    return read_csv(path, Path(config.root).expanduser() if config.root else None)
