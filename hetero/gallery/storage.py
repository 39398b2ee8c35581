"""A gallery on disk: gallery.safetensors, space.json, and gallery.json with the digests of both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hetero.errors import InputError, IntegrityError
from hetero.files import read_json, sha256_file, write_json
from hetero.recognition.kinds import GALLERY
from hetero.recognition.recognise import refuse_others
from hetero.schema import parse, record
from hetero.space import EmbeddingSpace
from hetero.storage.directories import replaced_directory, steadily

SCHEMA = "hetero/gallery/1"
VECTORS = "gallery.safetensors"
SPACE = "space.json"
INDEX = "gallery.json"


@record
class GalleryIndex:
    """The index of a gallery directory.

    Attributes:
        count: Number of vectors.
        sha256: File name -> digest.
        schema: Version of this record.
    """

    count: int
    sha256: dict[str, str]
    schema: Literal["hetero/gallery/1"] = SCHEMA


def write(directory: Path, space: EmbeddingSpace, embeddings: NDArray[np.float32], names: Sequence[str]) -> None:
    """Write a gallery directory atomically, replacing an existing gallery.

    Raises:
        InputError: When something that is not a gallery is there.
    """
    from safetensors.numpy import save_file

    if directory.exists() and not (directory / INDEX).is_file() and (directory.is_file() or any(directory.iterdir())):
        raise InputError(f"{directory} exists and is not a gallery; choose another place or remove it")
    encoded = [name.encode() for name in names]
    tensors = {
        "embeddings": np.ascontiguousarray(embeddings),
        "names": np.frombuffer(b"".join(encoded), np.uint8),
        "name_ends": np.cumsum([len(name) for name in encoded], dtype=np.int64),
    }
    with replaced_directory(directory) as fresh:
        save_file(tensors, fresh / VECTORS, metadata={"space_id": space.space_id})
        space.save(fresh / SPACE)
        digests = {name: sha256_file(fresh / name) for name in (VECTORS, SPACE)}
        write_json(fresh / INDEX, {"schema": SCHEMA, "count": len(names), "sha256": digests})


def read(directory: Path) -> tuple[EmbeddingSpace, NDArray[np.float32], list[str]]:
    """Read and check a gallery directory, which another process may be replacing.

    Returns:
        The space, float32 [n, d] vectors, and their names.

    Raises:
        InputError: When there is no gallery.
        IntegrityError: When a file is missing, was changed or is not valid.
    """
    return steadily(directory, _read)


def _read(directory: Path) -> tuple[EmbeddingSpace, NDArray[np.float32], list[str]]:
    refuse_others(directory, GALLERY)
    if not (directory / INDEX).is_file():
        raise InputError(f"expected a gallery at {directory}, found no {INDEX} there")
    try:
        index = parse(GalleryIndex, read_json(directory / INDEX), what=str(directory / INDEX), error=IntegrityError)
    except ValueError as error:
        raise IntegrityError(f"{directory / INDEX} is not JSON: {error}") from None
    problems: list[str] = []
    for name in (VECTORS, SPACE):
        if not (directory / name).is_file():
            problems.append(f"{name}: missing")
        elif sha256_file(directory / name) != index.sha256.get(name):
            problems.append(f"{name}: its SHA-256 is not the one in {INDEX}; copy or build the gallery again")
    if problems:
        raise IntegrityError(f"the gallery at {directory} is damaged:", problems)
    embeddings, names = _read_vectors(directory / VECTORS)
    if len(names) != index.count:
        raise IntegrityError(f"{directory / VECTORS} holds {len(names)} vectors, {INDEX} says {index.count}")
    return EmbeddingSpace.load(directory / SPACE), embeddings, names


def _read_vectors(path: Path) -> tuple[NDArray[np.float32], list[str]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
        text, ends = tensors["names"].tobytes(), tensors["name_ends"].tolist()
        starts = [0, *ends[:-1]]
        names = [text[start:end].decode() for start, end in zip(starts, ends, strict=True)] if ends else []
        embeddings = tensors["embeddings"]
        if embeddings.dtype != np.float32:
            raise TypeError(f"expected float32 embeddings, got {embeddings.dtype}")
        return embeddings, names
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"{path} is not a gallery's vectors: {error}") from None
