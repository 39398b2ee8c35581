"""The store over any engine: every check stands here once, so that no engine can leave one out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import TracebackType

import numpy as np
from jaxtyping import Float32

from hetero.errors import InputError, SpaceMismatchError
from hetero.gallery.checks import (
    attribute_problems,
    checked_query,
    id_problems,
    require_unit_length,
    tenant_problems,
    vector_problems,
)
from hetero.gallery.engine import Engine, MixedEngine, OneStepEngine, Readable
from hetero.gallery.store import DEFAULT_EFFORT, Effort, Item, Matches, Page, Where
from hetero.space import EmbeddingSpace


class CheckedStore:
    """A gallery store; see :class:`hetero.gallery.store.GalleryStore` for its methods.

    Args:
        engine: The database.
        read_only: True to refuse every change.
    """

    def __init__(self, engine: Engine, *, read_only: bool = False) -> None:
        self._engine, self._read_only = engine, read_only
        self._in_one_step = engine if isinstance(engine, OneStepEngine) else None

    def __enter__(self) -> CheckedStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def space(self) -> EmbeddingSpace:
        """The space that is served."""
        return self._engine.serving().space

    def __len__(self) -> int:
        return self._engine.count(self.space.space_id)

    def add(
        self,
        embeddings: Float32[np.ndarray, "n d"],
        ids: Sequence[str],
        space: EmbeddingSpace,
        *,
        tenant: str = "",
        attributes: Sequence[Mapping[str, str]] | None = None,
    ) -> None:
        """Add items, or replace them."""
        self._require_writable()
        served = self.space
        served.require_same(space, this="the gallery", that="the vectors to add")
        problems = vector_problems(embeddings, served) + id_problems(ids, len(embeddings))
        problems += tenant_problems(tenant) + attribute_problems(attributes, len(embeddings))
        if problems:
            raise InputError("cannot add to the gallery:", problems)
        if len(ids):
            self._engine.put(served, embeddings, ids, tenant, attributes)

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
        """Find the nearest items of each query."""
        asked = checked_query(query, k, space, tenant=tenant, where=where, effort=effort)
        if self._in_one_step is not None and len(query):
            matches = self._in_one_step.find_served(space.space_id, asked)
            if matches is not None:
                return matches
        served = self.space
        find = self._engine.find if served.space_id == space.space_id else self._mixed(served, space).find_mixed
        return find(space.space_id, asked) if len(query) else Matches([], np.empty((0, k), np.float32))

    def remove(self, ids: Sequence[str], *, tenant: str = "") -> int:
        """Remove items with their vectors in every space."""
        self._require_writable()
        if problems := id_problems(ids, len(ids)) + tenant_problems(tenant):
            raise InputError("cannot remove from the gallery:", problems)
        return self._engine.remove(ids, tenant) if len(ids) else 0

    def spaces(self) -> list[EmbeddingSpace]:
        """Return the spaces of which the gallery has vectors, or may have, the one served first."""
        served = self.space
        return [served, *(one for one in self._engine.registered() if one.space_id != served.space_id)]

    @property
    def previous(self) -> EmbeddingSpace | None:
        """The space that was served before the last swap, to which a gallery can roll back; None for none."""
        return self._engine.serving().previous

    @property
    def answers_meanwhile(self) -> bool:
        """True if queries of a compatible new space are answered while a backfill to it is under way."""
        return isinstance(self._engine, MixedEngine)

    def count(self, space: EmbeddingSpace) -> int:
        """Return the number of items with a vector of a space that is among :meth:`spaces`."""
        return self._engine.count(space.space_id)

    def pages(self, space: EmbeddingSpace | None = None) -> Iterator[Page]:
        """Yield all items with a vector of a space, some thousands at a time, while others may write.

        No item comes twice, and each that is there from the first page to the last comes. Those of a tenant come in the
        order of addition, where the database has one.

        Args:
            space: The space, which is among :meth:`spaces`; None for the one that is served now.

        Raises:
            InputError: When the database does not give its vectors out, or not to this user.
        """
        if not isinstance(self._engine, Readable):
            raise InputError("the items of this kind of store cannot be read back; give the file of their embeddings")
        return self._engine.pages((space or self.space).space_id)

    def begin(self, space: EmbeddingSpace) -> CheckedBackfill:
        """Begin a backfill, or resume it."""
        self._require_writable()
        require_unit_length(space)
        self._engine.register(space)
        return CheckedBackfill(self._engine, space)

    def close(self) -> None:
        """Release what the store holds."""
        self._engine.close()

    def _mixed(self, served: EmbeddingSpace, asked: EmbeddingSpace) -> MixedEngine:
        """Return the engine as one that may answer queries of another space than the one served."""
        if isinstance(self._engine, MixedEngine):
            return self._engine
        if asked.may_search(served):
            raise SpaceMismatchError(
                f"this kind of gallery store searches one space at a time, and serves {served.name} {served.version} "
                f"({served.space_id}): queries of {asked.name} {asked.version} ({asked.space_id}) are answered after "
                "the swap; stores in files (usearch) and in PostgreSQL answer them during a backfill, too"
            )
        served.require_same(asked, this="the gallery", that="the queries")
        raise AssertionError("two spaces of one id")

    def _require_writable(self) -> None:
        if self._read_only:
            raise InputError("the gallery was opened read-only; open it without read_only to change it")


class CheckedBackfill:
    """A backfill; see :class:`hetero.gallery.store.Backfill` for its methods.

    Args:
        engine: The database.
        space: The space to move to, which it has registered.
    """

    def __init__(self, engine: Engine, space: EmbeddingSpace) -> None:
        self._engine = engine
        self.space = space

    def missing(self, limit: int = 1000) -> list[Item]:
        """Return items that have no vector of the new space yet."""
        if limit < 1:
            raise InputError(f"limit: expected at least 1, got {limit}")
        return self._engine.missing(self.space.space_id, limit)

    def add(self, embeddings: Float32[np.ndarray, "n d"], items: Sequence[Item], space: EmbeddingSpace) -> int:
        """Add vectors of the new space."""
        self.space.require_same(space, this="the backfill", that="the vectors to add")
        problems = vector_problems(embeddings, self.space)
        if len(items) != len(embeddings) or len({(item.tenant, item.id) for item in items}) != len(items):
            problems.append(f"expected an item a vector, each once, got {len(items)} for {len(embeddings)} vectors")
        if problems:
            raise InputError("cannot add to the backfill:", problems)
        return self._engine.fill(self.space.space_id, embeddings, items) if len(items) else 0

    def search(
        self,
        query: Float32[np.ndarray, "q d"],
        k: int,
        *,
        tenant: str = "",
        effort: Effort = DEFAULT_EFFORT,
    ) -> Matches:
        """Search the vectors of the new space alone, served or not: to judge them before a swap."""
        asked = checked_query(query, k, self.space, tenant=tenant, where=None, effort=effort)
        return self._engine.find(self.space.space_id, replace(asked, unserved=not self._is_served()))

    def swap(self) -> None:
        """Serve the new space in place of the old one."""
        if missing := self._missing_for_swap():
            raise InputError(
                f"{missing} items have no vector of {self.space.name} {self.space.version} yet, for instance "
                f"{[item.id for item in self.missing(3)]}: add what `missing` returns, then swap"
            )

    def try_swap(self) -> bool:
        """Serve the new space unless items are missing; return False if some are, because they came just now."""
        return not self._missing_for_swap()

    def _missing_for_swap(self) -> int:
        return 0 if self._is_served() else self._engine.serve(self.space.space_id, complete=True)

    def roll_back(self) -> int:
        """Serve the space from before the swap again."""
        serving = self._engine.serving()
        if not self._is_served() or serving.previous is None:
            raise InputError(
                f"nothing to roll back: {serving.space.name} {serving.space.version} is served, "
                f"and this backfill to {self.space.name} {self.space.version} was not swapped"
            )
        return self._engine.serve(serving.previous.space_id, complete=False)

    def _is_served(self) -> bool:
        return self._engine.serving().space.space_id == self.space.space_id
