"""What a safetensors file of embeddings says of itself: the names of its rows and their space."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from hetero.errors import InputError, IntegrityError
from hetero.files import sha256_file
from hetero.foreign import strict_json
from hetero.space import EmbeddingSpace


def description_in(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    """Read the description that :func:`hetero.data.embeddings.file.save_embeddings` wrote; empty for other files.

    Raises:
        IntegrityError: When it is no JSON object.
    """
    value = strict_json(metadata.get("hetero", "{}").encode(), what=f"the metadata 'hetero' of {path}")
    if not isinstance(value, dict):
        raise IntegrityError(f"{path}: the metadata 'hetero' is not a JSON object")
    return cast("dict[str, Any]", value)


def names_in(path: Path, description: dict[str, Any]) -> list[str]:
    """Return the names in a description.

    Raises:
        IntegrityError: When they are no list of texts.
    """
    names = description["names"]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in cast("list[Any]", names)):
        raise IntegrityError(f"{path}: the metadata's names are not a JSON list of texts")
    return cast("list[str]", names)


def space_in(path: Path, description: dict[str, Any]) -> EmbeddingSpace:
    """Return the space in a description.

    Raises:
        IntegrityError: When it is not valid.
    """
    return EmbeddingSpace.from_dict(description["space"], what=f"the space in {path}")


def space_of(path: Path, dimension: int) -> EmbeddingSpace:
    """Return the space of a file that names none, which is defined by the file's own digest.

    Raises:
        InputError: When its vectors have no dimension.
    """
    if dimension < 1:
        raise InputError(f"{path}: expected at least one dimension, got none")
    return EmbeddingSpace.define(defined_by=sha256_file(path), name=path.stem, version="1", dimension=dimension)
