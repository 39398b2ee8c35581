"""One entrance to all data sets."""

from __future__ import annotations

from pathlib import Path

from hetero.data.config import DataConfig
from hetero.data.emoji import emoji_fingerprint, prepare_emoji
from hetero.data.images import Dataset
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
    return prepare_emoji(config, preprocessing, cache)


def fingerprint(config: DataConfig, preprocessing: Preprocessing) -> str:
    """Digest of everything that :func:`prepare` would read, without decoding an image."""
    return emoji_fingerprint(config, preprocessing)
