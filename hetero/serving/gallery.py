"""The gallery behind a service: checks of what comes in, before it waits in the line."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from hetero.errors import InputError, SpaceMismatchError
from hetero.gallery.checked import CheckedStore
from hetero.gallery.checks import vector_problems
from hetero.gallery.store import Matches
from hetero.serving.asked import AddRequest, RemoveRequest, SearchOptions
from hetero.serving.line import Line, Search
from hetero.space import EmbeddingSpace


class OtherSpaceError(InputError):
    """A request of another space than the one served.

    Args:
        served: The space that is served.
        asked: Id of the request's space.
        by: What serves it.
    """

    def __init__(self, served: EmbeddingSpace, asked: str, *, by: str = "the gallery") -> None:
        self.served, self.asked = served, asked
        super().__init__(
            f"{by} serves space {served.space_id} ({served.name} {served.version}), the request is of space "
            f"{asked[:100]!a}: use the model of one space, or re-embed"
        )


class ServedGallery:
    """A gallery for requests that name their spaces.

    Args:
        line: Its calls.
    """

    def __init__(self, line: Line) -> None:
        self.line = line
        self._known: dict[str, EmbeddingSpace] = {}

    async def space(self) -> EmbeddingSpace:
        """Return the space that is served."""
        return await self.line.call(lambda store: store.space)

    async def search(self, options: SearchOptions, vectors: Float32[np.ndarray, "q d"]) -> tuple[str, Matches]:
        """Search.

        Returns:
            Id of the space, and what was found.

        Raises:
            OtherSpaceError: For another space.
            InputError: For vectors or options that do not do.
        """
        space = await self._space(options.space)
        _require(vectors, space)
        where = tuple(
            (name, (value,) if isinstance(value, str) else tuple(value))
            for name, value in sorted(options.where.items())
        )
        search = Search(vectors, space, options.k, options.tenant, where, options.effort)
        try:
            return space.space_id, await self.line.search(search)
        except SpaceMismatchError:
            raise OtherSpaceError(await self.space(), options.space) from None

    async def add(self, request: AddRequest, vectors: Float32[np.ndarray, "n d"]) -> int:
        """Add items; return their number.

        Raises:
            OtherSpaceError: For another space.
            InputError: For items that do not do; none is added then.
        """
        space = await self._space(request.space)
        _require(vectors, space)

        def add(store: CheckedStore) -> None:
            store.add(vectors, request.ids, space, tenant=request.tenant, attributes=request.attributes)

        try:
            await self.line.call(add)
        except SpaceMismatchError:
            raise OtherSpaceError(await self.space(), request.space) from None
        return len(request.ids)

    async def remove(self, request: RemoveRequest) -> int:
        """Remove items; return the number of those that were there."""
        return await self.line.call(lambda store: store.remove(request.ids, tenant=request.tenant))

    async def _space(self, asked: str) -> EmbeddingSpace:
        """Return a space of which the gallery has vectors; whether it answers in it, the gallery decides."""
        if asked not in self._known:
            # What a space is never changes; others may have come.
            spaces = await self.line.call(_spaces)
            self._known = {space.space_id: space for space in spaces}
            if asked not in self._known:
                raise OtherSpaceError(spaces[0], asked)
        return self._known[asked]


def _spaces(store: CheckedStore) -> list[EmbeddingSpace]:
    try:
        return store.spaces()
    except InputError:  # a database shows its clients the space that is served alone
        return [store.space]


def _require(vectors: Float32[np.ndarray, "n d"], space: EmbeddingSpace) -> None:
    if problems := vector_problems(vectors, space):
        raise InputError("vectors:", problems)


def sentence(error: InputError) -> str:
    """Return an error as one line."""
    first = str(error).splitlines()[0] if str(error) else "the request cannot be answered"
    rest: Sequence[str] = error.problems
    return f"{first} {'; '.join(rest)}" if rest else " ".join(str(error).split())
