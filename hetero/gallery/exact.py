"""A gallery in memory, searched exactly."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from hetero.data.names import is_text
from hetero.errors import InputError, IntegrityError
from hetero.gallery import storage
from hetero.gallery.checks import vector_problems
from hetero.metrics.nearest import search
from hetero.space import EmbeddingSpace


class Gallery:
    """Named vectors of one embedding space.

    Args:
        space: The space of all vectors in the gallery and of all queries.

    Attributes:
        space: The space of the gallery.
    """

    def __init__(self, space: EmbeddingSpace) -> None:
        self.space = space
        self._parts: list[NDArray[np.float32]] = [np.empty((0, space.dimension), np.float32)]
        self._names: list[str] = []
        self._known: set[str] = set()

    def __len__(self) -> int:
        return len(self._names)

    @property
    def names(self) -> tuple[str, ...]:
        """Names in the order of addition."""
        return tuple(self._names)

    @property
    def embeddings(self) -> Float32[np.ndarray, "n d"]:
        """Vectors, float32 [n, d], in the order of :attr:`names`."""
        if len(self._parts) > 1:
            self._parts = [np.concatenate(self._parts)]
        return self._parts[0]

    def add(self, embeddings: Float32[np.ndarray, "n d"], names: Sequence[str], space: EmbeddingSpace) -> None:
        """Add vectors; if any of them is not valid, none is added.

        Args:
            embeddings: float32 [n, d], of unit length if the space requires it.
            names: One name for each vector, none of them in the gallery yet.
            space: The space of the vectors' model.

        Raises:
            SpaceMismatchError: When the vectors are of another space.
            InputError: For wrong shapes, lengths or names.
        """
        self.space.require_same(space, this="the gallery", that="the vectors to add")
        problems = vector_problems(embeddings, self.space)
        if len(names) != len(embeddings):
            problems.append(f"expected one name a vector, got {len(names)} names for {len(embeddings)} vectors")
        problems += _name_problems(names, self._known)
        if problems:
            raise InputError("cannot add to the gallery:", problems)
        self._parts.append(np.array(embeddings, np.float32))
        self._names += names
        self._known.update(names)

    def search(
        self, query: Float32[np.ndarray, "q d"], k: int, space: EmbeddingSpace
    ) -> tuple[list[list[str]], Float32[np.ndarray, "q k"]]:
        """Find the nearest vectors of each query.

        Args:
            query: float32 [q, d], of unit length if the space requires it.
            k: Number of vectors to find; all of them when the gallery holds fewer.
            space: The space of the query model.

        Returns:
            For each query the names, best first, and their scores, float32 [q, k].

        Raises:
            SpaceMismatchError: When the queries are of another space.
            InputError: For an empty gallery, a ``k`` below 1 or wrong vectors.
        """
        self.space.require_same(space, this="the gallery", that="the queries")
        problems = vector_problems(query, self.space)
        if not len(self):
            problems.append("the gallery is empty: add vectors first")
        if k < 1:
            problems.append(f"k: expected at least 1, got {k}")
        if problems:
            raise InputError("cannot search the gallery:", problems)
        hits = search(query, self.embeddings, min(k, len(self)))
        return [[self._names[row] for row in rows] for rows in hits.rows.tolist()], hits.scores

    def save(self, directory: Path) -> None:
        """Write the gallery as a directory, atomically; an existing gallery is replaced."""
        storage.write(directory, self.space, self.embeddings, self._names)

    @classmethod
    def load(cls, directory: Path) -> Gallery:
        """Read a gallery.

        Raises:
            InputError: When there is no gallery.
            IntegrityError: When a file was changed or is not valid.
        """
        space, embeddings, names = storage.read(directory)
        gallery = cls(space)
        try:
            gallery.add(embeddings, names, space)
        except InputError as error:
            raise IntegrityError(f"{directory} is not a valid gallery: {error}") from None
        return gallery


def _name_problems(names: Sequence[str], in_gallery: set[str]) -> list[str]:
    earlier: set[str] = set()
    repeated: list[str] = []
    for name in names:
        if name in earlier or name in in_gallery:
            repeated.append(name)
        earlier.add(name)
    problems = [f"{len(repeated)} names are taken or given twice, for instance {repeated[:3]}"] if repeated else []
    if broken := [name for name in names if not is_text(name)]:
        problems.append(f"{len(broken)} names cannot be written as UTF-8, for instance {broken[0]!a}")
    return problems
