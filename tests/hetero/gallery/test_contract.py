"""What every gallery store does, whatever holds its vectors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import pytest

from hetero.errors import InputError, SpaceMismatchError
from hetero.gallery.checked import CheckedStore
from hetero.gallery.opening import open_gallery
from hetero.gallery.store import Page
from tests.hetero.gallery.places import DIMENSION, V1, V2, address, names, vectors
from tests.hetero.gallery.writer import BATCH, batch
from tests.snippets import ROOT

__all__ = ["address"]
ROUNDING = 2e-3


@pytest.fixture
def store(address: str):
    with open_gallery(address, V1) as store:
        yield store


def test_finds_the_nearest_best_first(store: CheckedStore) -> None:
    some = vectors(50)
    store.add(some, names(50), V1)
    matches = store.search(some[:3], 5, V1)
    by_hand = some[:3] @ some.T
    for row, ids in enumerate(matches.ids):
        assert ids == [f"item {best}" for best in np.argsort(-by_hand[row])[:5]]
    assert np.allclose(matches.scores, -np.sort(-by_hand, axis=1)[:, :5], atol=ROUNDING)
    assert matches.scores.dtype == np.float32
    assert len(store) == 50


def test_one_query_and_exact_effort_answer_alike(store: CheckedStore) -> None:
    some = vectors(40)
    store.add(some, names(40), V1)
    one, exact = store.search(some[7:8], 3, V1), store.search(some[7:8], 3, V1, effort="exact")
    assert one.ids == exact.ids and one.ids[0][0] == "item 7"
    assert np.allclose(one.scores, exact.scores, atol=ROUNDING)


def test_fewer_items_than_asked_for_are_all_found(store: CheckedStore) -> None:
    empty = store.search(vectors(2), 5, V1)
    assert empty.ids == [[], []] and empty.scores.shape == (2, 0)
    store.add(vectors(3), names(3), V1)
    assert [sorted(ids) for ids in store.search(vectors(2), 5, V1).ids] == [names(3), names(3)]
    assert store.search(vectors(0), 5, V1).ids == []


def test_queries_and_vectors_of_another_space_are_refused_naming_both(store: CheckedStore) -> None:
    store.add(vectors(3), names(3), V1)
    foreign = vectors(1, space=V2)
    for use in (lambda: store.search(foreign, 1, V2), lambda: store.add(foreign, ["x"], V2)):
        with pytest.raises(SpaceMismatchError) as caught:
            use()
        assert V1.space_id in str(caught.value) and V2.space_id in str(caught.value)
    assert len(store) == 3


@pytest.mark.parametrize(
    ("rows", "ids", "message"),
    [
        (np.ones((1, DIMENSION + 1), np.float32), ["x"], rf"expected vectors as float32 \[n, {DIMENSION}\]"),
        (np.ones((1, DIMENSION), np.float32), ["x"], "row 0 has length 4: normalise"),
        (np.full((1, DIMENSION), np.nan, np.float32), ["x"], "1 vectors are not finite"),
        (vectors(2), ["x"], "got 1 ids for 2 vectors"),
        (vectors(2), ["x", "x"], r"ids are given twice, for instance \['x'\]"),
        (vectors(2), ["x", ""], "1 ids cannot be stored"),
        (vectors(1), ["a\0b"], "without NUL"),
        (vectors(2), "xy", "expected a sequence of ids, got one text, 'xy'"),
    ],
)
def test_what_does_not_belong_is_refused_whole(store: CheckedStore, rows: np.ndarray, ids: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        store.add(rows, ids, V1)
    assert len(store) == 0


def test_wrong_searches_are_refused(store: CheckedStore) -> None:
    with pytest.raises(InputError, match=r"(?s)k: expected at least 1, got 0.*effort: .*where: expected a value"):
        store.search(vectors(1), 0, V1, effort=0, where={"colour": []})


def test_an_item_is_replaced_not_doubled(store: CheckedStore) -> None:
    some = vectors(10)
    store.add(some[:5], names(5), V1)
    store.add(some[5:6], ["item 0"], V1)
    assert len(store) == 5
    found = store.search(some[:1], 10, V1).ids[0]
    assert sorted(found) == names(5) and found[0] != "item 0"
    assert store.search(some[5:6], 1, V1).ids == [["item 0"]]


def test_removed_items_are_not_found(store: CheckedStore) -> None:
    some = vectors(30)
    store.add(some, names(30), V1)
    assert store.remove(["item 3", "item 4", "never there"]) == 2
    assert store.remove(["item 3"]) == 0
    found = store.search(some[3:5], 30, V1).ids
    assert all(sorted(ids) == sorted(set(names(30)) - {"item 3", "item 4"}) for ids in found)
    assert len(store) == 28


def test_tenants_do_not_see_each_other(store: CheckedStore) -> None:
    some = vectors(20)
    store.add(some[:10], names(10), V1, tenant="shop")
    store.add(some[10:], names(10), V1, tenant="café ☕")
    assert store.search(some[:1], 1, V1, tenant="shop").ids == [["item 0"]]
    other = store.search(some[:1], 20, V1, tenant="café ☕")
    assert sorted(other.ids[0]) == names(10) and other.scores[0, 0] < 0.99
    assert store.search(some[:1], 5, V1).ids == [[]]
    assert store.remove(["item 0"], tenant="shop") == 1
    assert len(store) == 19


def test_items_are_found_by_their_attributes(store: CheckedStore) -> None:
    some = vectors(30)
    described = [{"colour": ("red", "green", "it's blue")[row % 3], "size": str(row % 2)} for row in range(30)]
    store.add(some, names(30), V1, attributes=described)
    by_hand = np.argsort(-(some[:2] @ some.T), axis=1)
    for where in ({"colour": "it's blue"}, {"colour": ["red", "green"], "size": "1"}, {"size": "1", "colour": "red"}):
        accepted = {name: [value] if isinstance(value, str) else value for name, value in where.items()}
        fits = [all(one[name] in values for name, values in accepted.items()) for one in described]
        expected = [[f"item {row}" for row in rows if fits[row]] for rows in by_hand]
        assert store.search(some[:2], 30, V1, where=where).ids == expected
    assert store.search(some[:1], 3, V1, where={"colour": "mauve"}).ids == [[]]
    assert store.search(some[:1], 3, V1, where={"weight": "1"}).ids == [[]]
    # A new vector leaves the attributes as they are; new attributes replace all of them.
    store.add(some[:1], ["item 1"], V1)
    assert store.search(some[:1], 1, V1, where={"colour": "green"}).ids == [["item 1"]]
    store.add(some[:1], ["item 1"], V1, attributes=[{"size": "2"}])
    assert "item 1" not in store.search(some[:1], 30, V1, where={"colour": "green"}).ids[0]
    assert store.search(some[:1], 1, V1, where={"size": "2"}).ids == [["item 1"]]


def read_back(pages: Iterator[Page]) -> dict[tuple[str, str], tuple[np.ndarray, dict[str, str]]]:
    """Tenant and id of each item -> its vector and attributes."""
    read: dict[tuple[str, str], tuple[np.ndarray, dict[str, str]]] = {}
    for page in pages:
        assert page.vectors.dtype == np.float32 and page.vectors.shape == (len(page.ids), DIMENSION)
        assert np.allclose(np.linalg.norm(page.vectors, axis=1), 1, atol=1e-6)
        for name, vector, attributes in zip(page.ids, page.vectors, page.attributes, strict=True):
            assert (page.tenant, name) not in read
            read[page.tenant, name] = (vector, attributes)
    return read


def test_all_that_is_stored_is_read_back(store: CheckedStore) -> None:
    assert read_back(store.pages()) == {}
    some = vectors(30)
    store.add(some[:20], names(20), V1, attributes=[{"row": str(row), 'a "name"': "it's ü"} for row in range(20)])
    store.add(some[20:25], names(5), V1, tenant="café ☕")
    # Replaced, the first two with their attributes.
    store.add(some[25:27], names(2), V1)
    store.add(some[27:28], ["item 2"], V1, attributes=[{}])
    store.remove(["item 7", "item 8"])
    expected = {("", f"item {row}"): some[row] for row in range(20) if row not in (7, 8)}
    expected |= {("", f"item {row}"): some[25 + row] for row in range(3)}
    expected |= {("café ☕", f"item {row}"): some[20 + row] for row in range(5)}
    read = read_back(store.pages())
    assert read.keys() == expected.keys()
    for key, (vector, attributes) in read.items():
        tenant, row = key[0], key[1].split()[1]
        np.testing.assert_allclose(vector, expected[key], atol=5e-4)  # half a step of float16
        assert attributes == ({} if tenant or row == "2" else {"row": row, 'a "name"': "it's ü"})


@pytest.fixture
def short_pages(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {
        "usearch": "hetero.gallery.embedded.database._AT_ONCE",
        "postgresql": "hetero.gallery.postgres.reading.ROWS",
        "qdrant": "hetero.gallery.qdrant.points._AT_ONCE",
        "lance": "hetero.gallery.lance.engine.ROWS",
    }
    monkeypatch.setattr(rows[address.partition(":")[0]], 7)


@pytest.mark.usefixtures("short_pages")
def test_it_is_read_back_while_others_write(address: str, store: CheckedStore) -> None:
    always = {(tenant, name) for tenant in ("", "shop") for name in names(20)}
    for tenant in ("", "shop"):
        store.add(vectors(20), names(20), V1, tenant=tenant)
    pages = store.pages()
    first = next(pages)
    assert 3 <= len(first.ids) <= 7
    # Some that were read and some that were not: replaced, and removed and added anew.
    gone: set[tuple[str, str]] = set()
    for tenant in ("", "shop"):
        here = [name for name in names(20) if (tenant, name) in {(first.tenant, name) for name in first.ids}]
        others = [name for name in names(20) if name not in here]
        store.add(vectors(4, seed=1), here[:1] + others[: 3 if here else 4], V1, tenant=tenant)
        again = here[1:3] + others[-3:]
        store.remove(again, tenant=tenant)
        store.add(vectors(len(again), seed=2), again, V1, tenant=tenant)
        gone |= {(tenant, name) for name in again}
    store.add(vectors(5, seed=3), [f"late {row}" for row in range(5)], V1)
    read = read_back(chain([first], pages))
    assert always - gone <= read.keys()
    assert {name for _, name in read.keys() - always} <= {f"late {row}" for row in range(5)}
    assert len(read_back(store.pages())) == len(store) == 45


@pytest.mark.usefixtures("short_pages")
def test_it_is_read_back_in_the_order_of_addition_where_there_is_one(address: str, store: CheckedStore) -> None:
    if address.startswith(("qdrant", "lance")):
        pytest.skip("keeps no order")
    for tenant in ("", "shop"):
        store.add(vectors(10), names(20)[10:], V1, tenant=tenant)
        store.add(vectors(10), names(20)[:10], V1, tenant=tenant)
    pages = list(store.pages())
    for tenant in ("", "shop"):
        read = [name for page in pages if page.tenant == tenant for name in page.ids]
        assert read == names(20)[10:] + names(10)


def test_it_is_all_there_when_opened_again(address: str) -> None:
    some = vectors(30)
    with open_gallery(address, V1) as store:
        store.add(some, names(30), V1, attributes=[{"row": str(row % 2)} for row in range(30)])
        store.remove(["item 1"])
    with open_gallery(address) as store:
        assert store.space == V1 and len(store) == 29
        store.add(some[1:2], ["item 2"], V1)
    with open_gallery(address, V1) as store:
        assert store.search(some[1:2], 1, V1).ids == [["item 2"]]
        assert store.search(some[4:5], 29, V1, where={"row": "0"}).ids[0][0] == "item 4"
        assert len(set(store.search(some[:1], 30, V1).ids[0])) == 29
    with pytest.raises(SpaceMismatchError, match=V2.space_id):
        open_gallery(address, V2)


def test_a_backfill_answers_all_the_way_and_back(address: str) -> None:
    old, new = vectors(10), vectors(10, space=V2)
    with open_gallery(address, V1) as store:
        store.add(old, names(10), V1)
        backfill = store.begin(V2)
        todo = backfill.missing(4)
        assert len(todo) == 4 and len(backfill.missing()) == 10
        rows = [int(item.id.split()[1]) for item in todo]
        assert backfill.add(new[rows], todo, V2) == 4
        assert backfill.add(new[rows], todo, V2) == 0
        assert store.search(old[:1], 1, V1).ids == [["item 0"]]
        with pytest.raises(SpaceMismatchError, match=V1.space_id):
            store.search(new[:1], 1, V2)
        with pytest.raises(SpaceMismatchError, match=V2.space_id):
            backfill.add(old[:1], todo[:1], V1)
        with pytest.raises(InputError, match="6 items have no vector of fashion 2 yet"):
            backfill.swap()
        with pytest.raises(InputError, match="nothing to roll back"):
            backfill.roll_back()
    with open_gallery(address) as store:
        assert store.space == V1
        backfill = store.begin(V2)
        while todo := backfill.missing(4):
            assert backfill.add(new[[int(item.id.split()[1]) for item in todo]], todo, V2) == len(todo)
        backfill.swap()
        backfill.swap()
        assert store.space == V2 and len(store) == 10
        assert store.search(new[5:6], 20, V2).ids[0][0] == "item 5"
        assert sorted(store.search(new[5:6], 20, V2).ids[0]) == names(10)
        with pytest.raises(SpaceMismatchError):
            store.search(old[:1], 1, V1)
    with open_gallery(address, V2) as store:
        store.add(new[:1], ["item 10"], V2)
        store.remove(["item 9"])
        assert store.begin(V2).roll_back() == 1
        assert store.space == V1
        assert sorted(store.search(old[:1], 20, V1).ids[0]) == names(9)
        lacking = store.begin(V1).missing()
        assert [item.id for item in lacking] == ["item 10"] and len(store) == 9
        assert store.begin(V1).add(vectors(1, seed=8), lacking, V1) == 1
        assert store.search(vectors(1, seed=8), 1, V1).ids == [["item 10"]]
        assert store.begin(V2).missing() == [] == store.begin(V1).missing()


def test_a_backfill_with_items_to_fill_never_says_none(store: CheckedStore) -> None:
    store.add(vectors(1), names(1), V1)
    for limit in (0, -1):
        with pytest.raises(InputError, match="limit: expected at least 1"):
            store.begin(V2).missing(limit)


def test_a_backfill_takes_no_vector_of_what_has_changed(store: CheckedStore) -> None:
    old, new = vectors(4), vectors(4, space=V2)
    store.add(old[:3], names(3), V1)
    backfill = store.begin(V2)
    todo = sorted(backfill.missing(), key=lambda item: item.id)
    store.add(old[3:], ["item 0"], V1)
    store.remove(["item 1"])
    assert backfill.add(new[:3], todo, V2) == 1
    assert [item.id for item in backfill.missing()] == ["item 0"]
    # Nor does one that was added before stay.
    store.add(old[3:], ["item 2"], V1)
    assert sorted(item.id for item in backfill.missing()) == ["item 0", "item 2"]


def test_what_was_acknowledged_survives_kill_9(address: str) -> None:
    open_gallery(address, V1).close()
    last: dict[str, int | None] = {}
    number = 0
    # The second writer starts from what the first one left; a process that loads LanceDB takes seconds.
    for alive in (3, 6) if address.startswith("usearch") else (4,):
        acknowledged = _written_until_killed(address, number, alive)
        for done in acknowledged:
            ids, _ = batch(done)
            last |= dict.fromkeys(ids, done) | (dict.fromkeys(ids[:2]) if done % 4 == 3 else {})
        with open_gallery(address) as store:
            _require(store, last, unsure=set(batch(number + len(acknowledged))[0]))
        # The batch that was cut short is written again.
        number += len(acknowledged)


def _written_until_killed(address: str, number: int, batches: int) -> list[int]:
    command = [sys.executable, "-m", "tests.hetero.gallery.writer", address, str(number)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ}) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(batches)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
    return [int(line) for line in lines if line.strip()]


def _require(store: CheckedStore, last: dict[str, int | None], *, unsure: set[str]) -> None:
    """Every acknowledged item is found by its last vector, none twice; those of the batch cut short are either way."""
    held = store.search(vectors(1), 10_000, V1, effort="exact").ids[0]
    assert len(held) == len(set(held)) == len(store)
    assert {name for name, written in last.items() if written is not None} - unsure == set(held) - unsure
    for name, written in last.items():
        if written is None or name in unsure:
            continue
        ids, seed = batch(written)
        query = vectors(BATCH, seed=seed)[ids.index(name)][None]
        found = store.search(query, 1, V1)
        assert found.ids == [[name]] and found.scores[0, 0] > 0.99
