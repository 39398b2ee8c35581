"""What one database does for a gallery store; :class:`hetero.gallery.checked.CheckedStore` asks it of all alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32

from hetero.gallery.store import Effort, Item, Matches, Page
from hetero.space import EmbeddingSpace

CONNECTIVITY, EXPANSION = 16, 128
"""Of every engine's graph (HNSW): links of an item, and candidates for them while it is added; usearch's own defaults.

Half as many candidates build in half the time, and of 1,245 right first answers of the demo's two students
lose 5 and 4 at effort 64 where these lose 1 and 3.
"""


@dataclass(frozen=True)
class Serving:
    """The spaces of a gallery that matter now.

    Attributes:
        space: The one that is served.
        previous: The one served before the last swap, whose vectors are kept; None for none.
    """

    space: EmbeddingSpace
    previous: EmbeddingSpace | None = None


@dataclass(frozen=True)
class Query:
    """A search whose vectors and options are checked.

    Attributes:
        vectors: float32 [q, d].
        k: Number of items to find, at least 1.
        tenant: The tenant whose items are searched.
        where: Attribute -> values of which an item must have one.
        effort: See :meth:`hetero.gallery.store.GalleryStore.search`.
        unserved: True to search a space that is not served, all of whose vectors then count: to judge a backfill.
    """

    vectors: Float32[np.ndarray, "q d"]
    k: int
    tenant: str
    where: Mapping[str, Sequence[str]]
    effort: Effort
    unserved: bool = False


@runtime_checkable
class Engine(Protocol):
    """Storage and search, without a check of what comes in. Every change is safely stored when its method returns.

    A method that takes a space's id touches the vectors of that space and of no other, whatever is served.
    """

    def serving(self) -> Serving:
        """Return what is served now, changes by other processes included."""
        ...

    def serve(self, space_id: str, *, complete: bool) -> int:
        """Serve a registered space in one step; the one served until now becomes the previous one.

        Args:
            space_id: The space.
            complete: True to change nothing when items are missing.

        Returns:
            The number of missing items.
        """
        ...

    def register(self, space: EmbeddingSpace) -> None:
        """Make room for vectors of a space; nothing happens when there is.

        A :class:`MixedEngine` keeps the newer record of a space that is not served: it may name measured ones.
        """
        ...

    def registered(self) -> list[EmbeddingSpace]:
        """Return the spaces that there is room for."""
        ...

    def count(self, space_id: str) -> int:
        """Return the number of vectors of a space."""
        ...

    def put(
        self,
        space: EmbeddingSpace,
        vectors: Float32[np.ndarray, "n d"],
        ids: Sequence[str],
        tenant: str,
        attributes: Sequence[Mapping[str, str]] | None,
    ) -> None:
        """Write items and their vectors, and delete the items' vectors of other spaces.

        Raises:
            SpaceMismatchError: When another process has swapped the space that is served in the meantime.
        """
        ...

    def fill(self, space_id: str, vectors: Float32[np.ndarray, "n d"], items: Sequence[Item]) -> int:
        """Write vectors of a space for items of an unchanged revision; return their number."""
        ...

    def find(self, space_id: str, query: Query) -> Matches:
        """Search the vectors of a space; :meth:`serving` was asked right before."""
        ...

    def remove(self, ids: Sequence[str], tenant: str) -> int:
        """Delete items and their vectors of every space; return their number."""
        ...

    def missing(self, space_id: str, limit: int) -> list[Item]:
        """Return items that have no vector of a space; none only when there is none."""
        ...

    def close(self) -> None:
        """Release connections and memory."""
        ...


@runtime_checkable
class MixedEngine(Protocol):
    """An engine that also searches a gallery on its way from one space to another."""

    def find_mixed(self, space_id: str, query: Query) -> Matches:
        """Search a space's vectors, and those of the space served for items that have none of it yet.

        Args:
            space_id: The queries' space.
            query: Its vectors are of that space; what they search in the space served is
                :func:`hetero.gallery.truncate.truncated` to its dimension.

        Raises:
            SpaceMismatchError: When the space is not registered, or its record does not name the one served as
                measured compatible.
        """
        ...


@runtime_checkable
class OneStepEngine(Protocol):
    """An engine that finds out which space is served while it searches."""

    def find_served(self, space_id: str, query: Query) -> Matches | None:
        """Search a space if it is the one served; None if another one is, or nothing was found."""
        ...


@runtime_checkable
class Readable(Protocol):
    """An engine that also gives out what it stores."""

    def pages(self, space_id: str) -> Iterator[Page]:
        """Yield all items with a vector of a space, some thousands at a time.

        Others may write meanwhile: no item comes twice, and each that is there from the first page to the last comes.
        Those of a tenant come in the order of addition, where the database has one.
        """
        ...
