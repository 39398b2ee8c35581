"""The seam of gallery stores: what a service asks of a gallery, whatever holds its vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from hetero.space import EmbeddingSpace

Effort = int | Literal["exact"]
"""Candidates that a graph search keeps (``ef``), or ``exact`` to compare with every vector."""
DEFAULT_EFFORT = 64
Where = Mapping[str, str | Sequence[str]]
"""Attribute -> the value that an item must have, or several of which it must have one; all attributes must fit."""


@dataclass(frozen=True)
class Matches:
    """The results of a search, best first.

    Attributes:
        ids: For each query the ids of items; fewer than asked for where fewer fit.
        scores: float32 [q, k], inner products; minus infinity where there is no item.
    """

    ids: list[list[str]]
    scores: Float32[np.ndarray, "q k"]

    @classmethod
    def of(cls, answers: Sequence[Sequence[tuple[str, float]]]) -> Matches:
        """Make them of each query's ids with their scores, best first."""
        scores = np.full((len(answers), max(map(len, answers), default=0)), -np.inf, np.float32)
        for row, answer in enumerate(answers):
            scores[row, : len(answer)] = [score for _, score in answer]
        return cls([[name for name, _ in answer] for answer in answers], scores)


@dataclass(frozen=True)
class Item:
    """An item whose vector a backfill still needs.

    Attributes:
        id: Its id.
        tenant: The tenant that it belongs to.
        revision: Changes whenever the item gets another vector in the space that is served; a backfill's vector of an
            earlier revision shows something else and is not taken.
    """

    id: str
    tenant: str
    revision: str


@dataclass(frozen=True)
class Page:
    """Items of one tenant with all that is kept of them.

    Attributes:
        tenant: The tenant.
        ids: Their ids.
        vectors: float32 [n, d], unit vectors of one space.
        attributes: For each item what searches may ask for.
    """

    tenant: str
    ids: list[str]
    vectors: Float32[np.ndarray, "n d"]
    attributes: list[dict[str, str]]


@runtime_checkable
class Backfill(Protocol):
    """The vectors of another space for the items of a gallery, made while the gallery goes on answering.

    It is resumed by beginning it again: what was added is kept.
    """

    @property
    def space(self) -> EmbeddingSpace:
        """The space to move to."""
        ...

    def missing(self, limit: int = 1000) -> list[Item]:
        """Return items that have no vector of the new space yet, at most ``limit``; none when all have one.

        Raises:
            InputError: For a limit below 1, by which nothing would seem to be missing.
        """
        ...

    def add(self, embeddings: Float32[np.ndarray, "n d"], items: Sequence[Item], space: EmbeddingSpace) -> int:
        """Add vectors of the new space, safely stored on return.

        Args:
            embeddings: float32 [n, d] of the new space.
            items: One for each vector, as :meth:`missing` returned them.
            space: The space of the vectors' model.

        Returns:
            The number of vectors taken: items that were removed or changed in the meantime are passed over, and
            changed ones are missing again.

        Raises:
            SpaceMismatchError: When the vectors are of another space.
            InputError: For wrong shapes or lengths.
        """
        ...

    def swap(self) -> None:
        """Serve the new space in place of the old one, in one step; the old vectors stay, for a way back.

        Raises:
            InputError: When items are missing.
        """
        ...

    def roll_back(self) -> int:
        """Serve the space from before :meth:`swap` again, at once.

        Returns:
            The number of items that it lacks because they came or changed after the swap: they are not found until a
            backfill of the old space adds them.

        Raises:
            InputError: When the new space is not served.
        """
        ...


@runtime_checkable
class GalleryStore(Protocol):
    """Vectors of items, of which those of one space are served.

    An item belongs to one tenant and is named by its id there. A search sees the items of one tenant and no others.
    """

    @property
    def space(self) -> EmbeddingSpace:
        """The space that is served."""
        ...

    def __len__(self) -> int:
        """Return the number of items with a vector in the space that is served, of all tenants."""
        ...

    def add(
        self,
        embeddings: Float32[np.ndarray, "n d"],
        ids: Sequence[str],
        space: EmbeddingSpace,
        *,
        tenant: str = "",
        attributes: Sequence[Mapping[str, str]] | None = None,
    ) -> None:
        """Add items, or replace them; all of them are safely stored on return.

        The vector that an item had before is gone in every space, since it showed something else.

        Args:
            embeddings: float32 [n, d], of unit length if the space requires it.
            ids: One for each vector, each once.
            space: The space of the vectors' model.
            tenant: The tenant that they belong to.
            attributes: For each item what searches may ask for, in place of earlier ones; None leaves those as they
                are.

        Raises:
            SpaceMismatchError: When the vectors are of another space than the one served.
            InputError: For wrong shapes, lengths, ids or attributes; nothing is added then.
        """
        ...

    def search(
        self,
        query: Float32[np.ndarray, "q d"],
        k: int,
        space: EmbeddingSpace,
        *,
        tenant: str = "",
        where: Where | None = None,
        effort: Effort = DEFAULT_EFFORT,
    ) -> Matches:
        """Find the nearest items of each query.

        Queries of a space that a backfill moves to, and that was measured to be compatible with the one served, search
        the gallery as far as it has come: items that have a vector of their space by that, the others by the old one.

        Args:
            query: float32 [q, d], of unit length if the space requires it.
            k: Number of items to find; all of them when fewer fit.
            space: The space of the query model.
            tenant: The tenant whose items are searched.
            where: The attributes that items must have.
            effort: More finds more of the nearest items and takes longer.

        Raises:
            SpaceMismatchError: When the queries are of another space than the one served, and of no such backfill.
            InputError: For a ``k`` or an effort below 1, or wrong vectors.
        """
        ...

    def remove(self, ids: Sequence[str], *, tenant: str = "") -> int:
        """Remove items with their vectors in every space; return the number of those that were there."""
        ...

    def begin(self, space: EmbeddingSpace) -> Backfill:
        """Begin a backfill, or resume it."""
        ...

    def close(self) -> None:
        """Release what the store holds; nothing is lost without it."""
        ...
