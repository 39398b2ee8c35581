"""Writing a folder of embeddings, shard by shard; after an interruption those that are there are kept."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from hetero.data.embeddings.names import name_problems
from hetero.data.embeddings.shard_file import shard_bytes
from hetero.data.embeddings.shards_record import ShardsRecord
from hetero.errors import InputError
from hetero.files import write_bytes, write_json
from hetero.recognition.kinds import SHARDS_RECORD
from hetero.schema import parse_file


def require_folder(folder: Path, names: Sequence[str]) -> None:
    """Refuse a place where no shards can be written, before any image is embedded for them.

    Args:
        folder: The folder.
        names: The names, as far as they are known.

    Raises:
        InputError: When something else is there, nothing can be written, or names repeat or are no text.
    """
    problems = name_problems(names)
    if folder.suffix[1:].isalpha() and not folder.is_dir():
        problems.append(
            f"embeddings are written to a .safetensors file, got {folder}; or give the name of a folder for shards, "
            f"which has no {folder.suffix}"
        )
    if folder.is_file():
        problems.append(f"{folder} is a file; give the name of a folder for shards")
    elif folder.is_dir() and not (folder / SHARDS_RECORD).is_file():
        problems += [f"{folder} is not empty and holds no embeddings"] if _holds_more(folder) else []
    above = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        problems.append(f"nothing can be written to {above}")
    if problems:
        raise InputError(f"{folder}: the embeddings could not be written:", problems)


def _holds_more(folder: Path) -> bool:
    return any(other.name != ".lock" for other in folder.iterdir())


def require_settings(folder: Path, settings: Mapping[str, object]) -> None:
    """Refuse a folder of embeddings that were made with other settings, before any image is opened.

    Args:
        folder: The folder, which may hold no embeddings.
        settings: Fields of the record that are known.

    Raises:
        InputError: When the folder's record has others.
    """
    if (folder / SHARDS_RECORD).is_file():
        there = parse_file(ShardsRecord, folder / SHARDS_RECORD)
        _require_equal(folder, replace(there, **settings), there)


def _require_equal(folder: Path, own: ShardsRecord, there: ShardsRecord) -> None:
    if differences := own.differences(there):
        raise InputError(
            f"{folder} holds other embeddings than these; give another folder, or remove it. They differ in:",
            differences,
        )


def begin(folder: Path, entry: ShardsRecord) -> list[int]:
    """Begin a folder of embeddings, or continue one.

    Args:
        folder: The folder, which may hold shards of an interrupted run.
        entry: What is to be embedded.

    Returns:
        The first row of each shard that is missing.

    Raises:
        InputError: When the folder holds embeddings of other images, another model or with other
            settings.
    """
    path = folder / SHARDS_RECORD
    if path.is_file():
        _require_equal(folder, entry, parse_file(ShardsRecord, path))
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, asdict(entry))
    return [start for start in entry.starts if not (folder / entry.file(start)).is_file()]


def write_shard(
    folder: Path, entry: ShardsRecord, start: int, vectors: Float32[np.ndarray, "n d"], names: Sequence[str]
) -> None:
    """Write one shard, whole and safely on the disk or not at all.

    Args:
        folder: A folder that was begun with this record.
        entry: Its record.
        start: First row of the shard.
        vectors: float32 [n, d], all vectors of the shard.
        names: One a row.
    """
    assert len(vectors) == entry.stop(start) - start
    write_bytes(folder / entry.file(start), shard_bytes(vectors, names, entry.space, dtype=entry.dtype))
