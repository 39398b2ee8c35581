"""Files of embeddings: what remains of a cloud model that cannot be trained again.

Two forms are read:

- ``NAME.safetensors`` with the tensor ``embeddings`` (f32 [n, d]) and, in its metadata, ``hetero``: a JSON object with
  ``names`` (a list) and ``space`` (an embedding space). Written by :func:`save_embeddings`.
- ``NAME.npy`` (or a safetensors file without names) with the names beside it, in ``NAME.txt``, one a line, or in
  ``NAME.csv``, in a column ``name`` or ``path``.

Names are those of :class:`hetero.data.images.ImageSet`: paths relative to the data's folder.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from jaxtyping import Float32
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from hetero.data.images import ImageSet
from hetero.errors import InputError, IntegrityError
from hetero.files import canonical_json, sha256_file, write_bytes
from hetero.space import EmbeddingSpace

SCHEMA = "hetero/embeddings/1"
_LARGEST_HEADER = 90_000_000  # safetensors refuses headers from 100 MB on
_SHOWN = 10


@dataclass(frozen=True)
class EmbeddingFile:
    """Embeddings with what they are of.

    Attributes:
        embeddings: f32 [n, d], as they lie in the file.
        names: One unique name a row.
        space: What the vectors mean. For a file that does not say, a space defined by the file's own digest.
    """

    embeddings: Float32[np.ndarray, "n d"]
    names: tuple[str, ...]
    space: EmbeddingSpace


def save_embeddings(
    path: Path, embeddings: Float32[np.ndarray, "n d"], names: Sequence[str], space: EmbeddingSpace
) -> None:
    """Write a safetensors file atomically.

    Args:
        path: Ends with ``.safetensors``.
        embeddings: f32 [n, d].
        names: One unique name a row.
        space: What the vectors mean.

    Raises:
        InputError: When rows, names and space do not fit together.
    """
    if path.suffix != ".safetensors":
        raise InputError(f"embeddings are written to a .safetensors file, got {path}")
    _check(path, embeddings, names, space)
    description = canonical_json({"schema": SCHEMA, "names": list(names), "space": space.to_dict()})
    if len(description) > _LARGEST_HEADER:
        raise InputError(f"{path}: the {len(names)} names take more room than a safetensors header has; split the file")
    # One entry only: safetensors writes several in no fixed order, and equal content should give equal bytes.
    data = save({"embeddings": np.ascontiguousarray(embeddings, np.float32)}, metadata={"hetero": description})
    write_bytes(path, data)


def load_embeddings(path: Path) -> EmbeddingFile:
    """Read a file of embeddings.

    Args:
        path: ``.safetensors`` or ``.npy``.

    Raises:
        InputError: When the file or its names are missing, or do not fit together; when values are not finite.
        IntegrityError: When the file is damaged.
    """
    if not path.is_file():
        raise InputError(f"expected a file of embeddings at {path}, found {'a folder' if path.is_dir() else 'nothing'}")
    if path.suffix == ".npy":
        embeddings, description = _read_npy(path), {}
    elif path.suffix == ".safetensors":
        embeddings, description = _read_safetensors(path)
    else:
        raise InputError(f"{path}: expected a .safetensors or a .npy file of embeddings")
    if embeddings.ndim != 2 or not np.issubdtype(embeddings.dtype, np.floating):
        raise InputError(
            f"{path}: expected floating-point embeddings of shape [images, dimensions], "
            f"got {embeddings.dtype} {list(embeddings.shape)}"
        )
    names = _names_in(path, description) if "names" in description else _names_beside(path)
    space = _space_in(path, description) if "space" in description else _space_of(path, embeddings.shape[1])
    embeddings = embeddings.astype(np.float32, copy=False)
    _check(path, embeddings, names, space)
    return EmbeddingFile(embeddings, tuple(names), space)


def aligned(file: EmbeddingFile, images: ImageSet) -> Float32[np.ndarray, "n d"]:
    """The embeddings of a set of images, in its order, scaled to unit length.

    Args:
        file: May hold further images.
        images: The set.

    Raises:
        InputError: When images have no embedding; names the first ten and their number.
    """
    return embeddings_of(file, images.names)


def embeddings_of(file: EmbeddingFile, names: Sequence[str]) -> Float32[np.ndarray, "n d"]:
    """The embeddings of the images with these names, in their order, scaled to unit length.

    Args:
        file: May hold further images.
        names: Of the images.

    Raises:
        InputError: When images have no embedding; names the first ten and their number.
    """
    row = {name: index for index, name in enumerate(file.names)}
    missing = [name for name in names if name not in row]
    if missing:
        example = f"; the file's names look like {file.names[0]!r}" if file.names else ""
        raise InputError(
            f"{len(missing)} of {len(names)} images have no embedding{example}:",
            [*missing[:_SHOWN], *([f"... and {len(missing) - _SHOWN} more"] if len(missing) > _SHOWN else [])],
        )
    chosen = file.embeddings[[row[name] for name in names]]
    length = np.linalg.norm(chosen, axis=1, keepdims=True)
    # Vectors that have unit length already stay as they are, bit by bit.
    return np.where(np.abs(length - 1) <= 1e-6, chosen, chosen / length)


def _read_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise IntegrityError(f"{path} is not a plain .npy array: {error}") from None


def _read_safetensors(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    try:
        with safe_open(path, framework="numpy") as file:
            keys = list(file.keys())
            if "embeddings" not in keys:
                raise InputError(f"{path}: expected a tensor 'embeddings', found {', '.join(keys) or 'none'}")
            return file.get_tensor("embeddings"), _description(path, file.metadata() or {})
    except SafetensorError as error:
        raise IntegrityError(f"{path} is not a whole safetensors file: {error}") from None


def _description(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    """What :func:`save_embeddings` wrote beside the vectors; empty for a file from elsewhere."""
    try:
        value = json.loads(metadata.get("hetero", "{}"))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise IntegrityError(f"{path}: the metadata 'hetero' is not a JSON object")
    return cast("dict[str, Any]", value)


def _names_in(path: Path, description: dict[str, Any]) -> list[str]:
    names = description["names"]
    if not isinstance(names, list):
        raise IntegrityError(f"{path}: the metadata's names are not a JSON list")
    return [str(name) for name in cast("list[Any]", names)]


def _space_in(path: Path, description: dict[str, Any]) -> EmbeddingSpace:
    return EmbeddingSpace.from_dict(description["space"], what=f"the space in {path}")


def _space_of(path: Path, dimension: int) -> EmbeddingSpace:
    if dimension < 1:
        raise InputError(f"{path}: expected at least one dimension, got none")
    return EmbeddingSpace.define(defined_by=sha256_file(path), name=path.stem, version="1", dimension=dimension)


def _names_beside(path: Path) -> list[str]:
    text, table = path.with_suffix(".txt"), path.with_suffix(".csv")
    if text.is_file():
        return [line for line in text.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    if not table.is_file():
        raise InputError(
            f"{path} does not say which image each row is of; write the names, one a line in the rows' order, "
            f"to {text.name} beside it (or a column 'name' or 'path' to {table.name})"
        )
    with table.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        column = next((name for name in ("name", "path") if name in (reader.fieldnames or ())), None)
        if column is None:
            raise InputError(f"{table}: expected a column 'name' or 'path', got {', '.join(reader.fieldnames or ())}")
        return [row[column] or "" for row in reader]


def _check(path: Path, embeddings: np.ndarray, names: Sequence[str], space: EmbeddingSpace) -> None:
    problems: list[str] = []
    if len(names) != len(embeddings):
        problems.append(f"{len(embeddings)} embeddings but {len(names)} names")
    if len(set(names)) < len(names):
        seen: set[str] = set()
        repeated = next(name for name in names if name in seen or seen.add(name))
        problems.append(f"names repeat, for instance {repeated!r}")
    if embeddings.shape[1:] != (space.dimension,):
        problems.append(f"embeddings of shape {list(embeddings.shape)} in a space of {space.dimension} dimensions")
    broken = np.flatnonzero(~np.isfinite(embeddings).all(axis=tuple(range(1, embeddings.ndim))))
    if len(broken):
        problems.append(f"{len(broken)} rows hold values that are not finite, the first is row {broken[0]}")
    empty = np.flatnonzero(~embeddings.any(axis=tuple(range(1, embeddings.ndim))))
    if len(empty):
        problems.append(f"{len(empty)} rows are all zero and have no direction, the first is row {empty[0]}")
    if problems:
        raise InputError(f"{path}: the embeddings cannot be used:", problems)
