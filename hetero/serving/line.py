"""The line before a gallery: so many calls at once, so many waiting, and searches that wait are answered together.

The first connection takes all that waits, since a query costs a database less among others. The rest help as long as
more waits than is searched for together, or a call takes long.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float32

from hetero.gallery.checked import CheckedStore
from hetero.gallery.store import Effort, Matches
from hetero.space import EmbeddingSpace

T = TypeVar("T")
TOGETHER = 64
"""Most queries of several callers that are searched for together."""
_LONG = 0.02
"""Seconds of a call after which others no longer wait for its end."""


class BusyError(Exception):
    """So many callers wait that another one would only wait in vain."""


@dataclass(frozen=True)
class Search:
    """A search whose vectors are those of its space.

    Attributes:
        vectors: float32 [q, d], checked.
        space: The space of the vectors.
        k: Number of items to find.
        tenant: The tenant whose items are searched.
        where: Attribute with the values of which an item must have one, for each attribute.
        effort: See :meth:`hetero.gallery.store.GalleryStore.search`.
    """

    vectors: Float32[np.ndarray, "q d"]
    space: EmbeddingSpace
    k: int
    tenant: str
    where: tuple[tuple[str, tuple[str, ...]], ...]
    effort: Effort

    def goes_with(self, other: Search) -> bool:
        """Return True if the two differ in their vectors alone."""
        mine = (self.space.space_id, self.k, self.tenant, self.where, self.effort)
        return mine == (other.space.space_id, other.k, other.tenant, other.where, other.effort)


@dataclass(eq=False)
class _Place:
    asked: Search | Callable[[CheckedStore], Any]
    answer: asyncio.Future[Any]

    @property
    def size(self) -> int:
        """Number of queries; any other call counts as one."""
        return len(self.asked.vectors) if isinstance(self.asked, Search) else 1


class Line:
    """Calls of a gallery from one event loop, in threads.

    Args:
        stores: The gallery, opened as often as it answers calls at once.
        waiting: Most callers that wait.
    """

    def __init__(self, stores: Sequence[CheckedStore], *, waiting: int) -> None:
        self._stores, self._most = stores, waiting
        self._places: deque[_Place] = deque()
        self._size = 0
        self._arrival, self._help = asyncio.Event(), asyncio.Event()
        self._threads = ThreadPoolExecutor(len(stores), thread_name_prefix="gallery")
        self._servers: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Line:
        first, *rest = self._stores
        self._servers = [
            asyncio.create_task(self._serve(first)),
            *(asyncio.create_task(self._aid(one)) for one in rest),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.cancel()
        await asyncio.gather(*self._servers, return_exceptions=True)
        self._threads.shutdown()

    @property
    def waiting(self) -> int:
        """Number of callers that wait."""
        return len(self._places)

    async def call(self, work: Callable[[CheckedStore], T]) -> T:
        """Return what a function makes of the gallery.

        Raises:
            BusyError: When too many wait.
            Exception: Whatever the function raises.
        """
        return await self._answer(work)

    async def search(self, search: Search) -> Matches:
        """Search, together with whoever asks likewise at the same time.

        Raises:
            BusyError: When too many wait.
            Exception: Whatever the gallery raises.
        """
        return await self._answer(search)

    async def _answer(self, asked: Search | Callable[[CheckedStore], Any]) -> Any:
        if len(self._places) >= self._most:
            raise BusyError
        place = _Place(asked, asyncio.get_running_loop().create_future())
        self._places.append(place)
        self._size += place.size
        self._arrival.set()
        if self._size >= TOGETHER:
            self._help.set()
        return await place.answer

    async def _serve(self, store: CheckedStore) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._somebody()
            long = loop.call_later(_LONG, self._help.set)
            await self._answer_next(store)
            long.cancel()
            if self._size < TOGETHER:
                self._help.clear()

    async def _aid(self, store: CheckedStore) -> None:
        while True:
            await self._help.wait()
            await self._somebody()
            if self._help.is_set():
                await self._answer_next(store)

    async def _somebody(self) -> None:
        while not self._places:
            self._arrival.clear()
            await self._arrival.wait()

    async def _answer_next(self, store: CheckedStore) -> None:
        places = self._next()
        loop = asyncio.get_running_loop()
        answers = await loop.run_in_executor(self._threads, _answers, store, [place.asked for place in places])
        for place, answer in zip(places, answers, strict=True):
            if place.answer.done():  # its caller has gone
                continue
            if isinstance(answer, Exception):
                place.answer.set_exception(answer)
            else:
                place.answer.set_result(answer)

    def _next(self) -> list[_Place]:
        """Take the first in the line, and of those behind it who can be answered with it."""
        first = self._places.popleft()
        taken, room = [first], TOGETHER - first.size
        if isinstance(first.asked, Search):
            for place in list(self._places)[: TOGETHER - 1]:
                if isinstance(place.asked, Search) and place.size <= room and first.asked.goes_with(place.asked):
                    self._places.remove(place)
                    taken.append(place)
                    room -= place.size
        self._size -= sum(place.size for place in taken)
        return taken


def _answers(store: CheckedStore, asked: list[Any]) -> list[Any]:
    """Return an answer for each caller; an exception is one."""
    try:
        first = asked[0]
        if not isinstance(first, Search):
            return [first(store)]
        together = np.concatenate([one.vectors for one in asked]) if len(asked) > 1 else first.vectors
        where = {name: list(values) for name, values in first.where}
        matches = store.search(together, first.k, first.space, tenant=first.tenant, where=where, effort=first.effort)
        return _divided(matches, [len(one.vectors) for one in asked])
    except Exception as error:
        return [error] * len(asked)


def _divided(matches: Matches, counts: list[int]) -> list[Matches]:
    ends = np.cumsum(counts).tolist()
    spans = zip([0, *ends[:-1]], ends, strict=True)
    return [Matches(matches.ids[start:end], matches.scores[start:end]) for start, end in spans]
