"""The gate's figures, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hetero.errors import InputError
from hetero.gallery.checked import CheckedBackfill, CheckedStore
from hetero.gallery.store import Matches
from hetero.upgrade.backfill.running.gate import Limits, Queries, judge
from tests.hetero.upgrade.backfill.running.moving import OLD

COUNT = 100
NAMES = tuple(f"red/{row}" for row in range(COUNT))
VECTORS = np.zeros((COUNT, 4), np.float32)


class Filled(CheckedBackfill):
    """New vectors that answer every query with the same items, and with others when they are searched exactly."""

    def __init__(self, near: list[str], exact: list[str]) -> None:
        self.near, self.exact = near, exact

    def search(self, query: Any, k: int, *, effort: Any, **_: Any) -> Matches:
        return same(query, (self.exact if effort == "exact" else self.near)[:k])


class Served(CheckedStore):
    """A gallery that answers every query with the same items."""

    space = OLD

    def __init__(self, ids: list[str]) -> None:
        self.ids = ids

    def search(self, query: Any, k: int, *_: Any, **__: Any) -> Matches:
        return same(query, self.ids[:k])


def same(query: np.ndarray, ids: list[str]) -> Matches:
    return Matches([ids] * len(query), np.zeros((len(query), len(ids)), np.float32))


def judged(before: list[str], near: list[str], exact: list[str]) -> list[Any]:
    queries = Queries(NAMES, VECTORS, VECTORS, None, "")
    return judge(Served(before), Filled(near, exact), queries, Limits(recall=0.9, flips=0.1, effort=64))


RED, BLUE = [[f"{colour}/x{place}" for place in range(11)] for colour in ("red", "blue")]


def test_the_share_of_the_ten_nearest_that_the_index_finds() -> None:
    found, flips = judged(RED, RED[:7] + BLUE[:4], RED)
    assert found.figure.value == pytest.approx(0.7) and found.judgement.answer == "beyond"
    assert flips.figure.value == 0 and flips.judgement.answer == "within"
    assert judged(RED, RED, RED)[0].judgement.answer == "within"


def test_right_before_and_wrong_after_is_a_flip_and_the_other_way_round_is_none() -> None:
    assert judged(RED, BLUE, BLUE)[1].judgement.answer == "beyond"
    assert judged(BLUE, RED, RED)[1].told.startswith(
        "0 of 100 queries are right before the swap and wrong after it, 100"
    )


def test_a_query_does_not_find_itself() -> None:
    own = ["red/0", *BLUE]
    assert judged(own, own, own)[1].told.endswith("cmc@1 0.9900 before, 0.9900 after")
    with pytest.raises(InputError, match="nothing for a query to find"):
        judged(RED, [], [])
