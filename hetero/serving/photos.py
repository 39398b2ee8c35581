"""Photos: of queries, made into vectors by a model, and of items, from a folder."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from hetero.data.decoding.decode import decode_bytes
from hetero.errors import InputError
from hetero.serving.gallery import OtherSpaceError
from hetero.serving.line import BusyError

if TYPE_CHECKING:
    from hetero.models.external.embedders import ImageEmbedder

_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".jfif": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".avif": "image/avif",
}
"""The formats of :data:`hetero.data.decoding.image_file.FORMATS` that browsers show."""


class PhotoEmbedder:
    """Makes vectors of photos, one after the other, since one may take a gigabyte.

    Args:
        embedder: The model.
        waiting: Most callers that wait.

    Attributes:
        space: The space of the vectors.
    """

    def __init__(self, embedder: ImageEmbedder, *, waiting: int) -> None:
        self._embedder, self._most = embedder, waiting
        self.space = embedder.space
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="photos")

    async def vector(self, photo: bytes, space_id: str) -> Float32[np.ndarray, "1 d"]:
        """Return the vector of an image file.

        Args:
            photo: The file.
            space_id: The space that the vector is asked of.

        Raises:
            OtherSpaceError: When it is not the model's.
            BusyError: When too many wait.
            InputError: When the file cannot be decoded; see :mod:`hetero.data.decoding`.
        """
        if space_id != self.space.space_id:
            raise OtherSpaceError(self.space, space_id, by="the model")
        if self._waiting >= self._most:
            raise BusyError
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._embedded, photo)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _embedded(self, photo: bytes) -> Float32[np.ndarray, "1 d"]:
        # Late: without a model the service needs no torch.
        from hetero.models.external.embedders import embed_all

        preprocessing = self._embedder.preprocessing
        pixels, deep = decode_bytes(photo, "the photo", preprocessing)
        if deep is not None and (problem := deep.problem(preprocessing.grey_range)):
            raise InputError(problem)
        return embed_all(self._embedder, pixels[None])


class PhotoFolder:
    """The photos of items, each in a file whose path in the folder is the item's id.

    Args:
        folder: The folder.

    Raises:
        InputError: When there is none.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError(f"expected a folder of photos at {folder}, found none")
        self._folder = folder.resolve()

    def find(self, name: str) -> tuple[Path, str] | None:
        """Return the file of an item's photo and its type; None for none, and for whatever lies outside the folder.

        Args:
            name: Id of the item.
        """
        kind = _TYPES.get(Path(name).suffix.lower())
        if kind is None or "\0" in name:
            return None
        try:
            path = (self._folder / name).resolve()
            return (path, kind) if path.is_relative_to(self._folder) and path.is_file() else None
        except OSError:  # for instance a name that is too long
            return None
