"""A gallery on its way to a compatible space: new queries search both, old ones what they always did."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hetero.errors import SpaceMismatchError
from hetero.gallery.embedded import engine
from hetero.gallery.opening import open_gallery
from hetero.gallery.truncate import truncated
from hetero.space import EmbeddingSpace, MeasuredCompatibility
from tests.hetero.gallery.places import PLACES, V1, V2, names, vectors

MEASURED = (MeasuredCompatibility(V1.space_id, "cmc@1", cross=0.6, earlier=0.5),)
ROUNDING = 2e-3


def compatible(dimension: int) -> EmbeddingSpace:
    space = EmbeddingSpace.define(defined_by="better", name="fashion", version="2", dimension=dimension)
    return dataclasses.replace(space, compatible_with=MEASURED)


NEW = compatible(V1.dimension)


@pytest.fixture(params=["usearch", "usearch-int8", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield PLACES[request.param](tmp_path)


def by_hand(query: np.ndarray, old: np.ndarray, new: np.ndarray, renewed: np.ndarray) -> np.ndarray:
    """Scores [q, n] of new queries, item by item: by its new vector where it has one."""
    return np.where(renewed, query @ new.T, truncated(query, old.shape[1]) @ old.T)


@pytest.mark.parametrize("dimension", [V1.dimension, 24, 8])
def test_new_queries_search_both_sides_from_the_first_vector_to_the_last(address: str, dimension: int) -> None:
    space = compatible(dimension)
    old, new, query = vectors(60), vectors(60, seed=1, space=space), vectors(5, seed=2, space=space)
    with open_gallery(address, V1) as store:
        store.add(old, names(60), V1)
        with pytest.raises(SpaceMismatchError, match=space.space_id):
            store.search(query, 3, space)
        backfill, before = store.begin(space), store.search(old[:5], 10, V1)
        renewed = np.zeros(60, bool)
        while True:
            scores = by_hand(query, old, new, renewed)
            for effort in (64, "exact"):
                matches = store.search(query, 10, space, effort=effort)
                assert np.allclose(matches.scores, -np.sort(-scores, axis=1)[:, :10], atol=ROUNDING)
                for row, ids in enumerate(matches.ids):
                    assert len({*ids}) == 10
                    own = [scores[row, int(name.split()[1])] for name in ids]
                    assert np.allclose(own, matches.scores[row], atol=ROUNDING)
            assert store.search(old[:5], 10, V1).ids == before.ids
            if not (todo := backfill.missing(20)):
                break
            rows = [int(item.id.split()[1]) for item in todo]
            backfill.add(new[rows], todo, space)
            renewed[rows] = True
        assert len(store.search(query[:1], 100, space).ids[0]) == 60
        backfill.swap()
        assert store.search(new[7:8], 1, space).ids == [["item 7"]]
        with pytest.raises(SpaceMismatchError):
            store.search(old[:1], 1, V1)
        backfill.roll_back()
        assert store.search(old[:5], 10, V1).ids == before.ids
        assert store.search(new[7:8], 1, space).ids == [["item 7"]]


def test_items_that_come_change_and_go_are_found_by_what_they_show(address: str) -> None:
    old, new = vectors(8), vectors(8, seed=1)
    with open_gallery(address, V1) as store:
        store.add(old[:6], names(6), V1, attributes=[{"row": str(row % 2)} for row in range(6)])
        backfill = store.begin(NEW)
        todo = sorted(backfill.missing(), key=lambda item: item.id)
        backfill.add(new[:4], todo[:4], NEW)
        store.add(old[6:], ["item 0", "item 7"], V1)
        store.remove(["item 1", "item 4"])
        assert store.search(old[6:], 1, NEW).ids == [["item 0"], ["item 7"]]
        assert sorted(store.search(new[:1], 10, NEW).ids[0]) == ["item 0", "item 2", "item 3", "item 5", "item 7"]
        assert store.search(new[:1], 10, NEW, where={"row": "0"}).scores.shape == (1, 2)
        assert store.search(new[2:3], 1, NEW, where={"row": "0"}).ids == [["item 2"]]
        assert store.search(new[:1], 10, NEW, tenant="other").ids == [[]]
        assert sorted(item.id for item in backfill.missing()) == ["item 0", "item 5", "item 7"]


def test_another_process_sees_the_same(address: str) -> None:
    old, new = vectors(30), vectors(30, seed=1)
    with open_gallery(address, V1) as store:
        store.add(old, names(30), V1)
        with open_gallery(address, read_only=True) as reader:
            with pytest.raises(SpaceMismatchError):
                reader.search(new[:1], 1, NEW)
            backfill = store.begin(NEW)
            for _ in range(3):
                items = backfill.missing(5)
                backfill.add(new[[int(item.id.split()[1]) for item in items]], items, NEW)
                here, there = (one.search(new, 10, NEW) for one in (store, reader))
                for _ in range(500):
                    if here.ids == there.ids:
                        break
                    time.sleep(0.01)  # what is not served yet is taken in by and by
                    there = reader.search(new, 10, NEW)
                assert here.ids == there.ids and np.array_equal(here.scores, there.scores)


def test_a_reader_takes_in_a_backfill_by_and_by_and_misses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_BY_AND_BY", 4)
    old, new = vectors(30), vectors(30, seed=1)
    with open_gallery(PLACES["usearch"](tmp_path), V1) as store:
        store.add(old, names(30), V1)
        backfill = store.begin(NEW)
        with open_gallery(f"usearch:{tmp_path / 'gallery'}", read_only=True) as reader:
            reader.search(new[:1], 1, NEW)
            items = backfill.missing()
            backfill.add(new[[int(item.id.split()[1]) for item in items]], items, NEW)
            taken = [0]
            for _ in range(1000):
                matches = reader.search(new, 30, NEW)
                assert all(sorted(ids) == sorted(names(30)) for ids in matches.ids)
                taken.append(int((matches.scores[:, 0] > 0.99).sum()))
                if taken[-1] == 30:
                    break
                time.sleep(0.01)
            assert taken[-1] == 30 and taken == sorted(taken)
            backfill.swap()
            assert reader.search(new[9:10], 1, NEW).ids == [["item 9"]]


def test_an_index_does_not_look_at_another_spaces_vectors_again(tmp_path: Path) -> None:
    address = PLACES["usearch"](tmp_path)
    with open_gallery(address, V1) as store, open_gallery(address, read_only=True) as reader:
        store.add(vectors(20), names(20), V1)
        reader.search(vectors(1), 1, V1)
        backfill = store.begin(NEW)
        backfill.add(vectors(20, seed=1), backfill.missing(), NEW)
        reader.search(vectors(1), 1, V1)
        held = reader._engine  # pyright: ignore[reportPrivateUsage]
        assert isinstance(held, engine.EmbeddedEngine)
        assert held._index(V1.space_id).key == 40  # pyright: ignore[reportPrivateUsage]
        store.add(vectors(1, seed=2), ["late"], V1)
        assert reader.search(vectors(1, seed=2), 1, V1).ids == [["late"]]


def test_the_graph_is_walked_past_all_that_is_replaced(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the hundreds of old vectors next to the query all but two are replaced by some that lie opposite."""
    monkeypatch.setattr(engine, "FEW", 0)
    old, query = vectors(1500, seed=3), vectors(1, seed=4)
    nearest = np.argsort(-(query @ old.T)[0])
    kept = nearest[[150, 250]]
    with open_gallery(address, V1) as store:
        store.add(old, names(1500), V1)
        backfill = store.begin(NEW)
        items = [item for item in backfill.missing(5000) if int(item.id.split()[1]) in {*nearest[:300]} - {*kept}]
        backfill.add(np.repeat(-query, len(items), axis=0), items, NEW)
        near = store.search(query, 2, NEW, effort=128)
        assert near.ids == [[f"item {row}" for row in kept]]


@pytest.mark.parametrize("place", ["qdrant", "lance"])
def test_a_store_of_another_kind_refuses_until_the_swap(place: str, tmp_path: Path) -> None:
    with open_gallery(PLACES[place](tmp_path), V1) as store:
        store.add(vectors(3), names(3), V1)
        backfill = store.begin(NEW)
        with pytest.raises(SpaceMismatchError, match="one space at a time.*answered after the swap"):
            store.search(vectors(1), 1, NEW)
        assert {one.space_id for one in store.spaces()} == {V1.space_id, NEW.space_id}
        backfill.add(vectors(3, seed=1), backfill.missing(), NEW)
        assert len(backfill.search(vectors(1), 5).ids[0]) == 3
        backfill.swap()
        assert len(store.search(vectors(1), 5, NEW).ids[0]) == 3


def test_the_gallerys_own_record_opens_the_door_and_not_what_a_query_says(address: str) -> None:
    unmeasured = dataclasses.replace(NEW, compatible_with=())
    with open_gallery(address, V1) as store:
        store.add(vectors(3), names(3), V1)
        store.begin(unmeasured)
        with pytest.raises(SpaceMismatchError, match=NEW.space_id):
            store.search(vectors(1), 1, NEW)
        store.begin(NEW)
        assert store.search(vectors(3)[:1], 1, unmeasured).ids == [["item 0"]]
        store.begin(V2)
        with pytest.raises(SpaceMismatchError, match=V2.space_id):
            store.search(vectors(1, space=V2), 1, V2)


def test_what_is_filled_is_searched_by_itself_before_the_swap(address: str) -> None:
    old, new = vectors(20), vectors(20, seed=1, space=V2)
    with open_gallery(address, V1) as store:
        store.add(old, names(20), V1)
        backfill = store.begin(V2)
        some = backfill.missing(12)
        rows = [int(item.id.split()[1]) for item in some]
        backfill.add(new[rows], some, V2)
        found = backfill.search(new[rows[3]][None], 50)
        assert found.ids[0][0] == some[3].id and sorted(found.ids[0]) == sorted(item.id for item in some)
        assert [one.space_id for one in store.spaces()] == [V1.space_id, V2.space_id]
        assert (store.count(V1), store.count(V2), store.previous) == (20, 12, None)
