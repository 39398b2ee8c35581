"""The embedded engine: SQLite holds everything, usearch finds the nearest."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from hetero.errors import SpaceMismatchError
from hetero.gallery.embedded import answers
from hetero.gallery.embedded.beside import Beside
from hetero.gallery.embedded.conditions import ALL_KEYS, Side
from hetero.gallery.embedded.graph import as_vectors
from hetero.gallery.embedded.index import SpaceIndex
from hetero.gallery.embedded.items import Items, Precision
from hetero.gallery.engine import Query, Serving
from hetero.gallery.pages import pages_of
from hetero.gallery.store import Item, Matches, Page
from hetero.gallery.truncate import truncated
from hetero.space import EmbeddingSpace
from hetero.storage.unfinished import sweep

FEW = 10_000
"""Items of a tenant, or with some attributes, that are all compared with a query: that is exact, and no slower."""
_RESCORED = 4
"""By int8 vectors so many times ``k`` are found, at least :data:`_FEWEST_RESCORED`; float16 vectors order them."""
_FEWEST_RESCORED = 40
_WIDER = 4
_BY_AND_BY = 4
"""Vectors of a space that is not served which an index takes in at a time: a query waits for so many at most."""


class EmbeddedEngine:
    """A gallery in a directory of its own; see :class:`hetero.gallery.engine.Engine` for the methods.

    Several processes may open it at once: each sees what another has written with its next call.

    Args:
        directory: The directory.
        space: The space of a new gallery; None to open one that exists.
        precision: Precision of a new gallery's index; None for float16, or what an existing gallery has.
        read_only: True to open an existing gallery without changing it, its index mapped into memory.

    Raises:
        InputError: When usearch is not installed, or there is no such gallery.
        IntegrityError: When the gallery is damaged.
    """

    def __init__(
        self, directory: Path, space: EmbeddingSpace | None, precision: Precision | None, *, read_only: bool
    ) -> None:
        self._directory, self._read_only = directory, read_only
        self._items = Items(directory, space, precision, read_only=read_only)
        self._lock = threading.RLock()
        self._indexes: dict[str, SpaceIndex] = {}
        self._version, self._serving = -1, self._items.serving()
        self._filled: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        self._alone: dict[str, bool] = {}
        self._admitted: set[tuple[str, str]] = set()
        self._beside = Beside(self._lock, self._follow)
        if not read_only:
            # An index that a killed process was saving, and that this one may never save, goes now.
            for registered in self._items.registered():
                sweep(self._index_directory(registered.space_id))

    def serving(self) -> Serving:
        """Return what is served now."""
        with self._lock:
            self._refresh()
            return self._serving

    def serve(self, space_id: str, *, complete: bool) -> int:
        """Serve a space."""
        with self._lock:
            index = self._index(space_id)
            if complete and not index.is_mostly_saved:
                # A kill right after the swap would leave readers without it. What comes during each save delays the
                # swap, so that it is not saved for a few.
                index.save()
            with self._items.database.transaction():
                missing = self._items.count_missing(self._number(space_id))
                if served := not (complete and missing):
                    self._items.serve(space_id)
            self._version = -1
            if served:
                self._release(but=space_id)
            return missing

    def register(self, space: EmbeddingSpace) -> None:
        """Make room for vectors of a space."""
        with self._lock, self._items.database.transaction():
            self._items.register(space)
            self._admitted.clear()

    def registered(self) -> list[EmbeddingSpace]:
        """Return the spaces that there is room for."""
        with self._lock:
            return self._items.registered()

    def count(self, space_id: str) -> int:
        """Return the number of vectors of a space."""
        with self._lock:
            return self._items.count(self._number(space_id))

    def put(
        self,
        space: EmbeddingSpace,
        vectors: Float32[np.ndarray, "n d"],
        ids: Sequence[str],
        tenant: str,
        attributes: Sequence[Mapping[str, str]] | None,
    ) -> None:
        """Write items and their vectors."""
        with self._lock:
            with self._items.database.transaction():
                self._items.serving().space.require_same(space, this="the gallery", that="the vectors to add")
                self._items.put(self._number(space.space_id), vectors, ids, tenant, attributes)
            self._index(space.space_id)
            self._catch_up()

    def fill(self, space_id: str, vectors: Float32[np.ndarray, "n d"], items: Sequence[Item]) -> int:
        """Write vectors of a space for items of an unchanged revision."""
        with self._lock:
            with self._items.database.transaction():
                count = self._items.fill(self._number(space_id), vectors, items)
            self._index(space_id).catch_up()
            return count

    def remove(self, ids: Sequence[str], tenant: str) -> int:
        """Delete items."""
        with self._lock:
            with self._items.database.transaction():
                removed = self._items.remove(ids, tenant)
            self._catch_up()
            return removed

    def missing(self, space_id: str, limit: int) -> list[Item]:
        """Return items that lack a vector of a space."""
        with self._lock:
            self._refresh()
            # Later revisions are larger: what is filled up to here stays so, and is not looked at again.
            items = self._items.missing(self._number(space_id), limit, self._filled.get(space_id, 0))
            if items:
                self._filled[space_id] = int(items[0].revision) - 1
            return items

    def find(self, space_id: str, query: Query) -> Matches:
        """Search the vectors of a space."""
        with self._lock:
            index = self._index(space_id)
            if query.unserved:
                index.catch_up()
            return self._found(index, Side(self._number(space_id)), query)[0]

    def find_mixed(self, space_id: str, query: Query) -> Matches:
        """Search the vectors of a space, and those of the space served for items that have none of it yet."""
        with self._lock:
            served = self._serving.space
            self._require_admitted(space_id, served)
            new, old = self._index(space_id), self._index(served.space_id)
            number, earlier = self._number(space_id), truncated(query.vectors, served.dimension)
            # One state of the tables for both sides, in which no item is between them.
            with self._items.database.transaction(writing=False):
                near, compared_all = self._found(new, Side(number), query)
                # The index may not hold all that the tables do.
                side = Side(self._number(served.space_id), number, ALL_KEYS if compared_all else new.key)
                floor = answers.floor_of(near, query.k)
                others, _ = self._found(old, side, replace(query, vectors=earlier), floor)
            return answers.merged(near, others, query.k)

    def pages(self, space_id: str) -> Iterator[Page]:
        """Yield all items with a vector of a space."""
        with self._lock:
            number = self._number(space_id)
            dimension = self._items.dimension(number)
        for rows in self._items.everything(number):
            vectors = as_vectors([row[2] for row in rows], dimension)
            yield from pages_of([row[:2] for row in rows], vectors, [json.loads(row[3]) for row in rows])

    def close(self) -> None:
        """Save what is not saved, and close the tables."""
        with self._lock:
            self._beside.stop()
            self._release()
            self._items.database.close()

    def _found(
        self, index: SpaceIndex, side: Side, query: Query, floor: NDArray[np.float32] | None = None
    ) -> tuple[Matches, bool]:
        """Search a side; return the results, and True if every vector of it was compared.

        Args:
            index: The index of its space.
            side: The side.
            query: The search.
            floor: float32 [q], for each query the score below which nothing is asked for.
        """
        alone = not query.where and self._is_alone(query.tenant)
        if query.effort == "exact" or not alone:
            rows = self._items.fitting(side, query.tenant, query.where, FEW + 1)
            if len(rows) <= FEW:
                return answers.exact(query, [sorted(rows)] if rows else []), True
            if query.effort == "exact":
                return answers.exact(query, self._items.all_fitting(side, query.tenant, query.where)), True
        return self._approximate(index, side, query, floor, by_index=alone and side.newer is None), False

    def _approximate(
        self, index: SpaceIndex, side: Side, query: Query, floor: NDArray[np.float32] | None, *, by_index: bool
    ) -> Matches:
        assert query.effort != "exact"
        by_bytes = self._items.precision == "int8"
        count = max(_RESCORED * query.k, _FEWEST_RESCORED) if by_bytes or side.newer is not None else query.k
        while True:
            keys, scores = index.nearest(query.vectors, count, query.effort)
            ids = index.ids(keys.ravel()) if by_index else self._ids(side, keys, query)
            if count >= len(index) or answers.enough(ids, scores, query.k, floor):
                break
            count = min(len(index), count * _WIDER)
        if by_bytes:
            scores = self._rescored(query.vectors, keys, scores)
        return answers.best(ids, scores, query.k, in_order=not by_bytes)

    def _ids(self, side: Side, keys: NDArray[np.int64], query: Query) -> list[str | None]:
        named = self._items.named(side, np.unique(keys).tolist(), query.tenant, query.where)
        return [named.get(key) for key in keys.ravel().tolist()]

    def _rescored(
        self, query: NDArray[np.float32], keys: NDArray[np.int64], scores: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        unique, rows = np.unique(keys, return_inverse=True)
        stored = self._items.vectors(unique.tolist())
        blank = np.zeros(query.shape[1], np.float16).tobytes()
        vectors = as_vectors([stored.get(key, blank) for key in unique.tolist()], query.shape[1])
        precise = np.einsum("qd,qcd->qc", query, vectors.astype(np.float32)[rows.reshape(keys.shape)])
        return np.where(np.isfinite(scores), precise, scores)

    def _index(self, space_id: str) -> SpaceIndex:
        if space_id not in self._indexes:
            number, directory = self._number(space_id), self._index_directory(space_id)
            index = SpaceIndex(directory, self._items, number, self._items.dimension(number), read_only=self._read_only)
            index.catch_up()
            self._indexes[space_id] = index
        return self._indexes[space_id]

    def _index_directory(self, space_id: str) -> Path:
        return self._directory / f"index-{self._number(space_id)}"

    def _number(self, space_id: str) -> int:
        if space_id not in self._numbers:
            self._numbers[space_id] = self._items.number(space_id)
        return self._numbers[space_id]

    def _require_admitted(self, space_id: str, served: EmbeddingSpace) -> None:
        """Refuse queries of a space that no backfill moves to, or that is not compatible with the one served."""
        pair = (space_id, served.space_id)
        if pair not in self._admitted:
            asked = next((one for one in self._items.registered() if one.space_id == space_id), None)
            if asked is None or not asked.may_search(served):
                raise SpaceMismatchError(
                    f"the gallery holds vectors of {served.name} {served.version} ({served.space_id}), the queries are "
                    f"of {space_id}, and no backfill to a space of this id that is compatible with it has begun: use "
                    "models and galleries of one space, or re-embed"
                )
            self._admitted.add(pair)

    def _is_alone(self, tenant: str) -> bool:
        """Return True if no item is of another tenant."""
        if tenant not in self._alone:
            self._alone[tenant] = not self._items.has_other_tenants(tenant)
        return self._alone[tenant]

    def _release(self, *, but: str = "") -> None:
        """Save indexes, and free their memory."""
        for space_id in [one for one in self._indexes if one != but]:
            index = self._indexes.pop(space_id)
            if not self._read_only and not index.is_saved:
                index.save()

    def _refresh(self) -> None:
        """Take in what other processes wrote."""
        if (version := self._items.database.value("PRAGMA data_version")) != self._version:
            self._serving = self._items.serving()
            self._admitted.clear()
            self._version = version
            self._catch_up()

    def _catch_up(self) -> None:
        """Take in what the tables hold of the space served, and by and by what they hold of others.

        No query waits for a batch of a backfill: items are found by their old vectors until then.
        """
        self._alone.clear()
        served = self._serving.space.space_id
        for space_id, index in self._indexes.items():
            if space_id == served:
                index.catch_up()
            else:
                self._beside.start()

    def _follow(self) -> bool:
        """Take in a little of what is not served; return True if nothing is left."""
        served = self._serving.space.space_id
        others = [index for space_id, index in self._indexes.items() if space_id != served]
        return all(index.catch_up(_BY_AND_BY) for index in others)
