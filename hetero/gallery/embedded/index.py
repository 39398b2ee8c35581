"""An index of one space's vectors, made from the tables and saved beside them; a lost one is made again."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from hetero.errors import IntegrityError
from hetero.files import sha256_file, write_json
from hetero.gallery.embedded import names
from hetero.gallery.embedded.deletions import Deletions
from hetero.gallery.embedded.graph import as_vectors, nearest_in, new_graph, usual_threads
from hetero.gallery.embedded.items import Items
from hetero.gallery.embedded.names import Names
from hetero.schema import parse_file, record
from hetero.storage.directories import replaced_directory, steadily

GRAPH, RECORD = "index.usearch", "saved.json"
SCHEMA = "hetero/gallery-index/1"
_AT_ONCE = 8192
_FEWEST_UNSAVED = 10_000
_SHARE_UNSAVED = 4
"""An index is saved when a quarter of it is not: replaying that takes a quarter of its making at most."""


@record
class Saved:
    """The state of a saved index.

    Attributes:
        key: Largest key that it has seen.
        deletion: Number of the last deletion that it has seen.
        sha256: Digest of the graph's file.
        schema: Version of this record.
    """

    key: int
    deletion: int
    sha256: str
    schema: Literal["hetero/gallery-index/1"] = SCHEMA


class SpaceIndex:
    """The index of a space.

    Args:
        directory: Where it is saved.
        items: The tables.
        number: The space's number in the tables.
        dimension: Length of a vector.
        read_only: True to map a saved index into memory instead of reading it; it is never saved then.

    Raises:
        IntegrityError: When a saved index is damaged.
    """

    def __init__(self, directory: Path, items: Items, number: int, dimension: int, *, read_only: bool) -> None:
        self._directory, self._items, self._number, self._dimension = directory, items, number, dimension
        self._read_only, self._threads = read_only, usual_threads()
        self._deletions = Deletions(items.database, number)
        if directory.is_dir():
            self._begin(*steadily(directory, self._open))
        else:
            self._begin_anew()

    def __len__(self) -> int:
        return len(self._graph) + (len(self._recent) if self._read_only else 0)

    @property
    def key(self) -> int:
        """The largest key that it has taken in, or seen and left out."""
        return self._key

    def catch_up(self, most: int | None = None) -> bool:
        """Take in what the tables hold since the last time; save when much is new.

        Args:
            most: Number of vectors to take in now; None for all.

        Returns:
            True if nothing is left.
        """
        with self._state() as deleted:
            whole = self._take_in(deleted, most)
        if not self._read_only and self._unsaved >= _FEWEST_UNSAVED and not self.is_mostly_saved:
            self.save()
        return whole

    def save(self) -> None:
        """Write the index in place of the saved one; a kill leaves one of the two, whole."""
        with self._state() as deleted, replaced_directory(self._directory) as fresh:
            self._take_in(deleted)
            self._graph.save(str(fresh / GRAPH))
            names.write(fresh, chain.from_iterable(self._items.ids(self._number)))
            saved = Saved(self._key, self._deletion, sha256_file(fresh / GRAPH))
            write_json(fresh / RECORD, vars(saved))
            self._names = Names(fresh)
        self._ids.clear()
        self._gone.clear()
        # Not up to this one: another process may be saving an index that is a little older.
        earlier, self._saved = self._saved, saved
        with contextlib.suppress(OSError):  # others write for long, or the disk is full: the next save does it
            self._deletions.forget(earlier.deletion)

    @property
    def is_saved(self) -> bool:
        """True if the saved index holds everything that this one does."""
        return not self._unsaved

    @property
    def is_mostly_saved(self) -> bool:
        """True if at most a quarter is to be taken in again by whoever opens it."""
        return self._unsaved * _SHARE_UNSAVED <= len(self)

    @property
    def _unsaved(self) -> int:
        return len(self._ids) + len(self._gone)

    def nearest(
        self, query: Float32[np.ndarray, "q d"], count: int, effort: int
    ) -> tuple[Int64[np.ndarray, "q c"], Float32[np.ndarray, "q c"]]:
        """Search the graph.

        Args:
            query: float32 [q, d].
            count: Number of keys to find.
            effort: Candidates to keep.

        Returns:
            Keys, best first, -1 for none, and their scores, minus infinity for none.
        """
        parts = [self._graph, self._recent] if self._read_only else [self._graph]
        keys, scores = zip(
            *(nearest_in(part, query, count, effort, threads=self._threads) for part in parts), strict=True
        )
        if len(parts) == 1:
            return keys[0], scores[0]
        all_keys, all_scores = np.hstack(keys), np.hstack(scores)
        best = np.argsort(-all_scores, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(all_keys, best, 1), np.take_along_axis(all_scores, best, 1)

    def ids(self, keys: NDArray[np.int64]) -> list[str | None]:
        """Return the id of each key; None for one that is not alive."""
        ids: list[str | None] = self._names.of(keys) if self._names is not None else [None] * len(keys)
        if not self._ids and not self._gone:
            return ids
        return [
            None if key in self._gone else name or self._ids.get(key)
            for key, name in zip(keys.tolist(), ids, strict=True)
        ]

    def _begin(self, saved: Saved, known: Names | None, graph: Any) -> None:
        self._saved, self._names, self._graph = saved, known, graph
        # Nothing can be added to a mapped graph, so that what came since lies in one of its own.
        self._recent = self._new() if self._read_only else graph
        self._key, self._deletion = saved.key, saved.deletion
        self._ids: dict[int, str] = {}
        self._gone: set[int] = set()

    def _begin_anew(self) -> None:
        self._begin(Saved(0, 0, ""), None, self._new())
        # What is deleted by now is not taken in.
        self._deletion = self._deletions.last()

    def _reopen(self) -> None:
        """Begin with the index that was saved last, or from nothing if that is no newer than this one."""
        own = self._deletion
        if self._directory.is_dir():
            self._begin(*steadily(self._directory, self._open))
        if self._deletion <= own:
            self._begin_anew()

    @contextlib.contextmanager
    def _state(self) -> Generator[list[tuple[int, int]]]:
        """Open one state of the tables; yield the deletions since the last time, all of them."""
        while True:
            with self._items.database.transaction(writing=False):
                if (deleted := self._deletions.after(self._deletion)) is not None:
                    yield deleted
                    return
            self._reopen()

    def _take_in(self, deleted: list[tuple[int, int]], most: int | None = None) -> bool:
        last, whole = self._items.database.value("SELECT max(key) FROM vectors") or 0, True
        while rows := self._items.after(self._number, self._key, most or _AT_ONCE):
            keys = np.array([row[0] for row in rows], np.uint64)
            vectors = as_vectors([row[2] for row in rows], self._dimension)
            self._recent.add(keys, vectors, threads=self._threads)
            self._ids.update((key, name) for key, name, _ in rows)
            self._key = rows[-1][0]
            if most is not None:
                whole = len(rows) < most
                break
        if whole:
            # Vectors of other spaces are not looked at again, as many as a backfill adds.
            self._key = max(self._key, last)
        if deleted:
            self._deletion = deleted[-1][0]
            self._gone.update(key for _, key in deleted)
            if len(self._recent):
                self._recent.remove(np.array([key for _, key in deleted], np.uint64), threads=1)
        return whole

    def _open(self, directory: Path) -> tuple[Saved, Names, Any]:
        # Nothing is removed from a mapped graph; to look keys up it would be read as a whole.
        saved, graph = parse_file(Saved, directory / RECORD), self._new(removable=not self._read_only)
        path = directory / GRAPH
        try:
            if self._read_only:
                graph.view(str(path))
            elif sha256_file(path) == saved.sha256:
                graph.load(str(path))
            else:
                raise ValueError("its SHA-256 is another")
            if graph.ndim != self._dimension:
                raise ValueError(f"it has {graph.ndim} dimensions")
            return saved, Names(directory), graph
        except (OSError, RuntimeError, ValueError) as error:
            raise IntegrityError(
                f"the index at {directory} is damaged ({error}); remove it, and it is made again from the items"
            ) from None

    def _new(self, *, removable: bool = True) -> Any:
        return new_graph(self._dimension, self._items.precision, removable=removable)
