"""The line before a gallery, with a gallery that answers when it is told to."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
import pytest

from hetero.gallery.checked import CheckedStore
from hetero.gallery.store import Matches
from hetero.serving.line import BusyError, Line, Search
from tests.hetero.gallery.places import V1, vectors


class Slow(CheckedStore):
    """Answers each query with its own first number, and notes how many it was asked at once."""

    space = V1

    def __init__(self) -> None:
        self.go = threading.Event()
        self.sizes: list[int] = []

    def search(self, query: np.ndarray, k: int, *_: Any, **__: Any) -> Matches:
        assert self.go.wait(10)
        self.sizes.append(len(query))
        if k == 7:
            raise ValueError("seven")
        return Matches.of([[(repr(float(row[0])), 1.0)] for row in query])


def search(rows: np.ndarray, *, k: int = 1, tenant: str = "") -> Search:
    return Search(rows, V1, k, tenant, (), 64)


async def gathered(store: Any, searches: list[Search], *, waiting: int = 100) -> list[Any]:
    async with Line([store], waiting=waiting) as line:
        first = asyncio.create_task(line.search(searches[0]))
        await asyncio.sleep(0.05)  # the store is busy with it
        rest = [asyncio.create_task(line.search(one)) for one in searches[1:]]
        await asyncio.sleep(0.05)
        store.go.set()
        return await asyncio.gather(first, *rest, return_exceptions=True)


def test_those_who_wait_for_the_like_are_answered_together_and_each_gets_its_own() -> None:
    store, rows = Slow(), vectors(5)
    searches = [search(rows[:1]), search(rows[1:3]), search(rows[3:4], tenant="other"), search(rows[4:])]
    answers = asyncio.run(gathered(store, searches))
    assert store.sizes == [1, 3, 1]
    assert [answer.ids for answer in answers] == [[[repr(float(row[0]))] for row in one.vectors] for one in searches]
    assert [len(answer.scores) for answer in answers] == [1, 2, 1, 1]


def test_more_than_may_wait_are_turned_away() -> None:
    answers = asyncio.run(gathered(Slow(), [search(vectors(1))] * 4, waiting=2))
    assert [isinstance(answer, BusyError) for answer in answers] == [False, False, False, True]


def test_an_error_reaches_those_whom_it_concerns() -> None:
    rows = vectors(1)
    answers = asyncio.run(gathered(Slow(), [search(rows), search(rows, k=7), search(rows, k=7), search(rows)]))
    assert [str(answer) if isinstance(answer, Exception) else "" for answer in answers] == ["", "seven", "seven", ""]


def test_no_more_than_a_batch_is_searched_together() -> None:
    store = Slow()
    asyncio.run(gathered(store, [search(vectors(1)), *[search(vectors(20))] * 5]))
    assert store.sizes == [1, 60, 40]


async def sizes(stores: list[Slow], count: int, *, busy: bool) -> list[list[int]]:
    """How many queries each store was asked at once, when so many callers come; the first is at a call if busy."""
    for store in stores[busy:]:
        store.go.set()
    async with Line(stores, waiting=100) as line:
        first = [asyncio.create_task(line.search(search(vectors(1)))) for _ in range(busy)]
        await asyncio.sleep(0.05)
        rest = [asyncio.create_task(line.search(search(vectors(20)))) for _ in range(count)]
        if busy:
            await asyncio.gather(*rest)
        stores[0].go.set()
        await asyncio.gather(*first, *rest)
    return [store.sizes for store in stores]


def test_the_first_store_takes_what_fits_into_a_batch_and_the_others_rest() -> None:
    assert asyncio.run(sizes([Slow(), Slow()], 3, busy=False)) == [[60], []]


def test_others_help_at_once_where_more_than_a_batch_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hetero.serving.line._LONG", 60)
    first, second = asyncio.run(sizes([Slow(), Slow()], 8, busy=False))
    assert sum(first) + sum(second) == 160 and max(first + second) == 60 and second


def test_others_help_while_a_call_takes_long() -> None:
    first, second = asyncio.run(sizes([Slow(), Slow()], 2, busy=True))
    assert first == [1] and sum(second) == 40


def test_a_call_that_was_long_does_not_keep_the_others_at_it() -> None:
    async def asked() -> list[int]:
        slow, quick = Slow(), Slow()
        quick.go.set()
        async with Line([slow, quick], waiting=100) as line:
            long = asyncio.create_task(line.search(search(vectors(1))))
            await asyncio.sleep(0.05)
            slow.go.set()
            await long
            for _ in range(5):
                await line.search(search(vectors(1)))
        return quick.sizes

    assert asyncio.run(asked()) == []
