"""The vectors to make smaller: a file, a folder of shards, a saved gallery, or a store with all that it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from hetero.data.embeddings.file import embeddings_of, is_sharded, load_embeddings
from hetero.errors import InputError
from hetero.gallery import storage
from hetero.gallery.opening import SCHEMES, open_gallery, without_password
from hetero.gallery.store import Page
from hetero.lengths import unit
from hetero.recognition.kinds import ARRAY, EMBEDDINGS, GALLERY, SHARDS
from hetero.recognition.recognise import refuse_others
from hetero.space import EmbeddingSpace


@dataclass(frozen=True)
class Contents:
    """Vectors of a space, all in memory.

    Attributes:
        space: Their space.
        pages: The vectors with their ids; of one tenant without attributes where they are no store's.
        is_store: True if they are a gallery store's.
    """

    space: EmbeddingSpace
    pages: tuple[Page, ...]
    is_store: bool

    @property
    def vectors(self) -> Float32[np.ndarray, "n d"]:
        """float32 [n, d], unit vectors, in the order of the pages."""
        parts = [page.vectors for page in self.pages]
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def of_tenant(self, tenant: str) -> tuple[list[str], Float32[np.ndarray, "n d"]]:
        """Return ids and vectors of one tenant.

        Raises:
            InputError: When it has none.
        """
        pages = [page for page in self.pages if page.tenant == tenant]
        if not pages:
            tenants = sorted({page.tenant for page in self.pages})
            raise InputError(f"--tenant: {tenant!r} has no items, there are items of {tenants[:5]}")
        return [name for page in pages for name in page.ids], np.concatenate([page.vectors for page in pages])


def contents_of(source: str) -> Contents:
    """Read vectors.

    Args:
        source: The address of a gallery store, or the path of a file of embeddings, a folder of shards or a gallery.

    Raises:
        InputError: When it is none of these, or empty, or a database whose user may not read it.
        SpaceMismatchError: When a store moves to another space while it is read.
        IntegrityError: When it is damaged.
    """
    path = Path(source)
    if "://" in source or (source.partition(":")[0] in SCHEMES and not path.exists()):
        with open_gallery(source, read_only=True) as store:
            space = store.space
            contents = Contents(space, tuple(store.pages(space)), is_store=True)
            store.space.require_same(space, this="the gallery, which was swapped meanwhile,", that="what was read")
    else:
        refuse_others(
            path, EMBEDDINGS, ARRAY, SHARDS, GALLERY, what="a file of embeddings or a gallery store's address"
        )
        contents = _gallery(path) if (path / storage.INDEX).is_file() and not is_sharded(path) else _embeddings(path)
    if not sum(len(page.ids) for page in contents.pages):
        raise InputError(f"{without_password(source)}: expected vectors, found none")
    return contents


def _embeddings(path: Path) -> Contents:
    file = load_embeddings(path)
    return Contents(file.space, (_page(list(file.names), embeddings_of(file, file.names)),), is_store=False)


def _gallery(path: Path) -> Contents:
    space, vectors, names = storage.read(path)
    return Contents(space, (_page(names, unit(vectors, what=str(path))),), is_store=False)


def _page(names: list[str], vectors: Float32[np.ndarray, "n d"]) -> Page:
    return Page("", names, vectors, [{} for _ in names])
