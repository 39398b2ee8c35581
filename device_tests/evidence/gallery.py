"""A release manager's gallery: the cloud's vectors by name, and the class of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from hetero.data.embeddings.file import embeddings_of, is_sharded, load_embeddings
from hetero.data.embeddings.shards import EmbeddingShards
from hetero.data.names import composed
from hetero.errors import InputError
from hetero.files import digest, sha256_file
from hetero.space import EmbeddingSpace

_NAMED = 5


@dataclass(frozen=True)
class OwnGallery:
    """Vectors of a gallery.

    Attributes:
        name: The file's or directory's name, for people.
        sha256: Digest of the file; for a gallery directory that of its index, which names the digests of the others.
        space: Embedding space of the vectors.
        vectors: float32 [n, d], of length one.
        names: One per row; altered copies of training images are left out.
    """

    name: str
    sha256: str
    space: EmbeddingSpace
    vectors: Float32[np.ndarray, "n d"]
    names: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> OwnGallery:
        """Read a file or a folder of embeddings, or a gallery directory.

        Raises:
            InputError: If it is neither, holds no vector, or its vectors and names do not fit together.
            IntegrityError: If it is damaged.
        """
        from hetero.gallery.exact import Gallery
        from hetero.gallery.storage import INDEX

        if is_sharded(path):
            shards = EmbeddingShards(path)
            shards.require_whole()
            # Not their identity: the checksums that it is made of can be kept by whoever alters a shard.
            sha256 = digest([[file.name, sha256_file(file)] for file in sorted(path.iterdir()) if file.is_file()])
            space, names = shards.space, shards.names
            vectors = shards.mapped(np.arange(len(shards)))[:]
        elif path.is_dir():
            sha256, opened = sha256_file(path / INDEX) if (path / INDEX).is_file() else "", Gallery.load(path)
            space, vectors, names = opened.space, opened.embeddings, opened.names
        else:
            sha256, file = sha256_file(path) if path.is_file() else "", load_embeddings(path)
            space, vectors, names = file.space, embeddings_of(file, file.names), file.names
        all_names = set(names)
        rows = [row for row, name in enumerate(names) if not _is_copy(name, all_names)]
        if not rows:
            raise InputError(f"{path} holds no vector; a gallery needs at least one")
        return cls(path.name, sha256, space, vectors[rows], tuple(names[row] for row in rows))


def _is_copy(name: str, all_names: Collection[str]) -> bool:
    """Return True if a name is of an altered copy of another image, which training needs and no gallery contains."""
    whole, mark, number = name.rpartition("#")
    return bool(mark) and number.isdigit() and whole in all_names


def classes_by_name(names: Sequence[str], classes: Sequence[str], known: Mapping[str, str]) -> list[str]:
    """Return the class of each image of a gallery: as listed, or else the class named by one of its folders.

    Args:
        names: Names of the gallery's images.
        classes: Classes of the queries; images of other classes get none.
        known: Classes of listed images, by name.

    Returns:
        One class per name; empty for none.

    Raises:
        InputError: If folders in a name are called after several classes.
    """
    called = {composed(name): name for name in classes}
    folders = [{called.get(composed(part), "") for part in name.split("/")[:-1]} - {""} for name in names]
    found_classes = [known.get(name, "") or next(iter(inside), "") for name, inside in zip(names, folders, strict=True)]
    unclear = [name for name, inside in zip(names, folders, strict=True) if len(inside) > 1 and name not in known]
    if unclear:
        raise InputError(
            f"{len(unclear)} images of the gallery lie in folders of several classes, so that it is unclear what they "
            "show; list them in the CSV of the queries:",
            unclear[:_NAMED],
        )
    return found_classes
