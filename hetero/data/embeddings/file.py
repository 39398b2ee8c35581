"""Files of embeddings, which stand for a cloud model that cannot be trained again.

Three forms are read:

- ``NAME.safetensors`` with the tensor ``embeddings`` (floating point, or int8 directions, [n, d]) and, in its
  metadata, ``hetero``: a JSON object with ``names`` (a list) and ``space`` (an embedding space). Written by
  :func:`save_embeddings`.
- ``NAME.npy`` (or a safetensors file without names) with the names beside it, in ``NAME.txt``, one a line, or in a
  column ``name`` or ``path`` of ``NAME.csv``.

- a folder of shards, for more than fits in memory: see :mod:`hetero.data.embeddings.shards`.

Names are those of :class:`hetero.data.images.ImageSet`: paths relative to the data's folder.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Float32, Int8, Int64
from safetensors.numpy import save

from hetero.data.embeddings.description import description_in, names_in, space_in, space_of
from hetero.data.embeddings.names import missing_names, name_problems, names_beside
from hetero.data.embeddings.shards import EmbeddingShards
from hetero.data.embeddings.values import read_npy, read_safetensors
from hetero.data.images import ImageSet
from hetero.errors import InputError
from hetero.files import canonical_json, write_bytes
from hetero.lengths import unit
from hetero.recognition.kinds import ARRAY, EMBEDDINGS, SHARDS_RECORD
from hetero.recognition.recognise import refuse_others
from hetero.space import EmbeddingSpace

SCHEMA = "hetero/embeddings/1"
Precision = Literal["float32", "float16", "int8"]
_LARGEST_HEADER = 90_000_000  # safetensors refuses headers from 100 MB on


@dataclass(frozen=True)
class EmbeddingFile:
    """Embeddings with the names of their images and their space.

    Attributes:
        embeddings: f32 [n, d], as stored in the file.
        names: One unique name a row.
        space: The space of the vectors. For a file without one, a space defined by the file's own digest.
        states_space: False for a file without one.
    """

    embeddings: Float32[np.ndarray, "n d"]
    names: tuple[str, ...]
    space: EmbeddingSpace
    states_space: bool = True

    def rows_of(self, names: Sequence[str]) -> Int64[np.ndarray, " m"]:
        """Return the row of each name; -1 where there is none."""
        row = {name: index for index, name in enumerate(self.names)}
        return np.array([row.get(name, -1) for name in names], np.int64)


Embeddings = EmbeddingFile | EmbeddingShards
"""Embeddings that are in memory, or mapped into it."""


def save_embeddings(
    path: Path,
    embeddings: Float32[np.ndarray, "n d"],
    names: Sequence[str],
    space: EmbeddingSpace,
    *,
    precision: Precision = "float32",
) -> None:
    """Write a safetensors file atomically.

    Args:
        path: The file, whose name ends with ``.safetensors``.
        embeddings: f32 [n, d].
        names: One unique name a row.
        space: The space of the vectors.
        precision: Type in the file. int8 keeps directions alone, see :func:`in_bytes`.

    Raises:
        InputError: When rows, names and space do not fit together.
    """
    _check(path, embeddings, names, space)
    require_destination(path, names)
    description = canonical_json({"schema": SCHEMA, "names": list(names), "space": space.to_dict()})
    # A single entry, because safetensors writes several in no fixed order, and equal content should give equal bytes.
    rows = in_bytes(embeddings) if precision == "int8" else np.ascontiguousarray(embeddings, precision)
    write_bytes(path, save({"embeddings": rows}, metadata={"hetero": description}))


def in_bytes(vectors: Float32[np.ndarray, "n d"]) -> Int8[np.ndarray, "n d"]:
    """Round directions to a byte a coordinate: each vector's largest coordinate becomes 127.

    Their lengths are lost; readers scale them to length one. No vector needs a scale of its own beside it.

    Args:
        vectors: float32 [n, d], none of them zero.
    """
    largest = np.abs(vectors).max(axis=1, keepdims=True)
    return np.rint(vectors * (127 / largest)).astype(np.int8)


def require_destination(path: Path, names: Sequence[str]) -> None:
    """Refuse a file that could not be written, before any image is embedded for it.

    Args:
        path: The file to write.
        names: One a row.

    Raises:
        InputError: When a safetensors file cannot be written to the path, or the names do not fit into one.
    """
    problems = name_problems(names)
    if path.suffix != ".safetensors":
        problems.append(f"embeddings are written to a .safetensors file, got {path}")
    if path.is_dir():
        problems.append(f"{path} is a folder; give the name of a file in it")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        problems.append(f"nothing can be written to {above}")
    # JSON escapes and UTF-8 make a name longer than its characters.
    size = sum(len(canonical_json(name).encode(errors="replace")) + 1 for name in names)
    if size > _LARGEST_HEADER:
        problems.append(
            f"the {len(names)} names take {size / 1e6:.0f} MB, more than the {_LARGEST_HEADER / 1e6:.0f} MB that a "
            "safetensors header has for them; split the images over several files"
        )
    if problems:
        raise InputError(f"{path}: the embeddings could not be written:", problems)


def load_embeddings(path: Path) -> Embeddings:
    """Read a file of embeddings, or open a folder of them.

    Args:
        path: ``.safetensors`` or ``.npy``, which are read, or a folder of shards, which is mapped into memory.

    Raises:
        InputError: When the file or its names are missing, or do not fit together; when values are not finite.
        IntegrityError: When the file is damaged.
    """
    if is_sharded(path):
        return EmbeddingShards(path)
    embeddings, description = _read(path)
    names = names_in(path, description) if "names" in description else names_beside(path)
    space = space_in(path, description) if "space" in description else space_of(path, embeddings.shape[1])
    with np.errstate(over="ignore"):
        embeddings = embeddings.astype(np.float32, copy=False)
    _check(path, embeddings, names, space)
    return EmbeddingFile(embeddings, tuple(names), space, "space" in description)


def is_sharded(path: Path) -> bool:
    """Return True if a path is a folder of embeddings in shards."""
    return (path / SHARDS_RECORD).is_file()


def raw_vectors(path: Path) -> tuple[Float[np.ndarray, "n d"], list[str] | None]:
    """Read the vectors of a file of embeddings, finite or not, and their names, where there are any.

    Args:
        path: ``.safetensors`` or ``.npy``.

    Raises:
        InputError: When there is no such file, or the numbers of names and rows differ.
        IntegrityError: When the file is damaged.
    """
    embeddings, description = _read(path)
    names = None
    if "names" in description:
        names = names_in(path, description)
    elif any(path.with_suffix(suffix).is_file() for suffix in (".txt", ".csv")):
        names = names_beside(path)
    if names is not None and len(names) != len(embeddings):
        raise InputError(f"{path}: {len(embeddings)} embeddings but {len(names)} names")
    return embeddings, names


def aligned(file: Embeddings, images: ImageSet) -> Float32[np.ndarray, "n d"]:
    """Return the embeddings of a set of images, in its order, scaled to unit length.

    Args:
        file: The embeddings, possibly of further images.
        images: The set of images.

    Raises:
        InputError: When images have no embedding; names the first ten and their number, and names that only look the
            same.
    """
    return embeddings_of(file, images.names)


def embeddings_of(file: Embeddings, names: Sequence[str]) -> Float32[np.ndarray, "n d"]:
    """Return the embeddings of the images with these names, in their order, scaled to unit length.

    Args:
        file: The embeddings, possibly of further images.
        names: Names of the images.

    Raises:
        InputError: When images have no embedding; names the first ten and their number, and names that only look the
            same.
        IntegrityError: When a vector in a shard is not finite, or zero.
    """
    rows = rows_in(file, names)
    if isinstance(file, EmbeddingShards):
        return file.mapped(rows)[:]
    return unit(file.embeddings[rows], what="the embeddings")


def rows_in(file: Embeddings, names: Sequence[str]) -> Int64[np.ndarray, " n"]:
    """Return the rows of the images with these names, in their order.

    Raises:
        InputError: When images have no embedding; as :func:`embeddings_of`.
    """
    rows = file.rows_of(names)
    if missing := [names[index] for index in np.flatnonzero(rows < 0).tolist()]:
        sharded = isinstance(file, EmbeddingShards)
        known = file.similar_names(missing) if sharded else dict.fromkeys(file.names, 0)
        first = file.first_name() if sharded else next(iter(file.names), None)
        example = f"; the file's names look like {first!r}" if first is not None else ""
        raise InputError(
            f"{len(missing)} of {len(names)} images have no embedding{example}:", missing_names(missing, known)
        )
    return rows


def _read(path: Path) -> tuple[Float[np.ndarray, "n d"], dict[str, Any]]:
    """Read the vectors of a file, and their description."""
    if path.suffix != ".npy":  # whose reader says more
        refuse_others(path, EMBEDDINGS, ARRAY, what="a .safetensors or a .npy file of embeddings")
    if not path.is_file():
        raise InputError(f"expected a file of embeddings at {path}, found {'a folder' if path.is_dir() else 'nothing'}")
    if path.suffix == ".npy":
        return read_npy(path), {}
    if path.suffix == ".safetensors":
        embeddings, metadata = read_safetensors(path)
        return embeddings, description_in(path, metadata)
    raise InputError(f"{path}: expected a .safetensors or a .npy file of embeddings")


def _check(path: Path, embeddings: np.ndarray, names: Sequence[str], space: EmbeddingSpace) -> None:
    problems: list[str] = []
    if len(names) != len(embeddings):
        problems.append(f"{len(embeddings)} embeddings but {len(names)} names")
    problems += name_problems(names)
    if embeddings.shape[1:] != (space.dimension,):
        problems.append(f"embeddings of shape {list(embeddings.shape)} in a space of {space.dimension} dimensions")
    broken = np.flatnonzero(~np.isfinite(embeddings).all(axis=tuple(range(1, embeddings.ndim))))
    if len(broken):
        problems.append(f"{len(broken)} rows hold values that are not finite, the first is row {broken[0]}")
    # Below the smallest normal number float32 loses its digits.
    largest = np.abs(embeddings).max(axis=tuple(range(1, embeddings.ndim)), initial=0)
    empty = np.flatnonzero(largest < np.finfo(np.float32).tiny)
    if len(empty):
        problems.append(
            f"{len(empty)} rows are all zero, or so short that float32 cannot hold their direction; "
            f"the first is row {empty[0]}"
        )
    if problems:
        raise InputError(f"{path}: the embeddings cannot be used:", problems)
