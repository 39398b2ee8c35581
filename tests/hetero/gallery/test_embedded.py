"""The embedded store's own: its files, mapped readers, other processes, and kills at each step of a save."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetero.errors import InputError, IntegrityError
from hetero.gallery.opening import open_gallery
from tests.crashes import kills
from tests.hetero.gallery.places import V1, V2, names, vectors

pytest.importorskip("usearch", reason="needs the extra gallery")

from hetero.gallery.embedded import database, engine, index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "gallery"


def test_a_reader_maps_the_index_and_follows_the_writer(folder: Path) -> None:
    some = vectors(60)
    with open_gallery(f"usearch:{folder}", V1) as writer:
        writer.add(some[:40], names(40), V1)
    with open_gallery(f"usearch:{folder}") as writer, open_gallery(f"usearch:{folder}", read_only=True) as reader:
        assert reader.search(some[:2], 3, V1).ids == writer.search(some[:2], 3, V1).ids
        writer.add(some[40:], [f"late {row}" for row in range(20)], V1)
        writer.add(some[41:42], ["item 0"], V1)
        writer.remove(["item 1", "late 1"])
        found = reader.search(some[41:42], 100, V1).ids[0]
        assert found[0] == "item 0" and len(found) == len(set(found)) == 58
        assert not {"item 1", "late 1"} & set(found)
        assert reader.search(some[45:46], 1, V1).ids == [["late 5"]]
        with pytest.raises(InputError, match="opened read-only"):
            reader.remove(["item 2"])
    with pytest.raises(InputError, match=r"found no items\.sqlite"):
        open_gallery(f"usearch:{folder}-elsewhere", read_only=True)


def test_two_writers_see_each_other(folder: Path) -> None:
    some = vectors(4)
    with open_gallery(f"usearch:{folder}", V1) as one, open_gallery(f"usearch:{folder}") as other:
        one.add(some[:2], names(2), V1)
        other.add(some[2:], ["a", "item 0"], V1)
        for store in (one, other):
            assert sorted(store.search(some[:1], 9, V1).ids[0]) == ["a", "item 0", "item 1"]
            assert store.search(some[3:], 1, V1).ids == [["item 0"]]


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_many_items_of_few_tenants_are_found_through_the_graph(
    folder: Path, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "FEW", 5)
    monkeypatch.setattr(database, "_AT_ONCE", 7)
    some = vectors(200)
    with open_gallery(f"usearch:{folder}?precision={precision}", V1) as store:
        store.add(some[:150], names(150), V1, attributes=[{"even": str(row % 2 == 0)} for row in range(150)])
        store.add(some[150:], names(50), V1, tenant="other")
        for where, rows in (({}, np.arange(150)), ({"even": "True"}, np.arange(0, 150, 2))):
            best = rows[np.argsort(-(some[160:162] @ some[rows].T), axis=1)[:, :10]]
            expected = [[f"item {row}" for row in line] for line in best]
            for effort in (200, "exact"):
                assert store.search(some[160:162], 10, V1, where=where, effort=effort).ids == expected
        assert len(store.search(some[:1], 500, V1, where={"even": "False"}).ids[0]) == 75


def test_of_equal_scores_the_first_added_comes_first_across_blocks(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "FEW", 5)
    monkeypatch.setattr(database, "_AT_ONCE", 4)
    same = np.repeat(np.eye(1, V1.dimension, dtype=np.float32), 10, axis=0)
    with open_gallery(f"usearch:{folder}", V1) as store:
        store.add(same, names(10), V1)
        store.add(same[:1], ["item 2"], V1)  # replaced, it is the last
        order = [f"item {row}" for row in (0, 1, *range(3, 10), 2)]
        assert store.search(same[:1], 99, V1, effort="exact").ids == [order]
        assert store.search(same[:1], 3, V1, effort="exact").ids == [order[:3]]


def test_a_kill_at_any_step_of_a_save_loses_nothing(folder: Path) -> None:
    some = vectors(30)
    with open_gallery(f"usearch:{folder}", V1) as store:
        store.add(some[:20], names(20), V1)
    # Left as a killed process leaves it: what it added is not in the saved index.
    open_gallery(f"usearch:{folder}").add(some[20:], [f"late {row}" for row in range(10)], V1)

    steps = 0
    for _ in kills(folder, lambda: _touched(folder), before=lambda: None):
        steps += 1
        with open_gallery(f"usearch:{folder}", read_only=True) as store:
            assert len(set(store.search(some[25:26], 100, V1).ids[0])) == 30
            assert store.search(some[25:26], 1, V1).ids == [["late 5"]]
    assert steps > 3
    with open_gallery(f"usearch:{folder}") as store:
        store.add(some[:1], ["item 0"], V1)
    # What kills left behind went with the next save.
    assert sorted(path.name for path in folder.iterdir() if "sqlite-" not in path.name) == ["index-1", "items.sqlite"]


def test_a_swap_waits_for_the_first_save_and_not_for_that_of_a_few_late_items(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saves, save = list[int](), index.SpaceIndex.save

    def noted(self: index.SpaceIndex) -> None:
        saves.append(len(self))
        save(self)

    with open_gallery(f"usearch:{folder}", V1) as store:
        store.add(vectors(20), names(20), V1)
        backfill = store.begin(V2)
        backfill.add(vectors(20, space=V2), backfill.missing(), V2)
        monkeypatch.setattr(index.SpaceIndex, "save", noted)
        for late in ("one", "two"):
            store.add(vectors(1, seed=1), [late], V1)
            assert not backfill.try_swap() and saves == [20]
            backfill.add(vectors(1, seed=1, space=V2), backfill.missing(), V2)
        # The other save is that of the old space's index, which is let go.
        assert backfill.try_swap() and saves == [20, 22] and store.space == V2


def _touched(folder: Path) -> None:
    """Open, so that what is not saved is taken in, and save."""
    with open_gallery(f"usearch:{folder}") as store:
        store.search(vectors(1), 1, V1)


def test_a_lost_index_is_made_again_and_a_damaged_one_refused(folder: Path) -> None:
    some = vectors(20)
    with open_gallery(f"usearch:{folder}", V1) as store:
        store.add(some, names(20), V1)
    graph = folder / "index-1" / "index.usearch"
    content = bytearray(graph.read_bytes())
    content[-1] ^= 1
    graph.write_bytes(content)
    with open_gallery(f"usearch:{folder}") as store, pytest.raises(IntegrityError, match="is damaged .*; remove it"):
        store.search(some[:1], 1, V1)
    for path in graph.parent.iterdir():
        path.unlink()
    graph.parent.rmdir()
    with open_gallery(f"usearch:{folder}") as store:
        assert store.search(some[4:5], 1, V1).ids == [["item 4"]]


def test_a_full_disk_is_called_that_and_undoes_the_change_alone(folder: Path) -> None:
    some = vectors(3000)
    with open_gallery(f"usearch:{folder}", V1) as store:
        store.add(some[:2], names(2), V1)
        for statement in ("PRAGMA max_page_count = 30", "PRAGMA cache_size = 10"):
            store._engine._items.database.rows(statement)  # pyright: ignore
        for _ in range(2):
            with pytest.raises(OSError, match="full"):
                store.add(some, names(3000), V1)
        assert len(store) == 2
        store._engine._items.database.rows("PRAGMA max_page_count = 100000")  # pyright: ignore
        store.add(some, names(3000), V1)
        assert len(store) == 3000


def test_a_commit_that_fails_leaves_the_store_usable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_gallery(f"usearch:{folder}", V1) as store:
        tables = store._engine._items.database  # pyright: ignore

        class Failing:
            def __init__(self, connection: Any) -> None:
                self._connection = connection

            def __getattr__(self, name: str) -> Any:
                return getattr(self._connection, name)

            def execute(self, statement: str, *rest: Any) -> Any:
                if statement == "COMMIT":
                    error = sqlite3.OperationalError("disk I/O error")
                    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
                    raise error
                return self._connection.execute(statement, *rest)

        with monkeypatch.context() as patched:
            patched.setattr(tables, "_connection", Failing(tables._connection))
            with pytest.raises(OSError, match="disk I/O error"):
                store.add(vectors(1), names(1), V1)
        assert len(store) == 0
        store.add(vectors(1), names(1), V1)
        assert len(store) == 1


def test_an_effort_beyond_all_items_takes_no_memory_for_more(folder: Path) -> None:
    with open_gallery(f"usearch:{folder}", V1) as store:
        store.add(vectors(5), names(5), V1)
        assert store.search(vectors(1), 5, V1, effort=10**12).ids == store.search(vectors(1), 5, V1).ids


def test_what_is_no_store_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="give a space to make one"):
        open_gallery(f"usearch:{folder}")
    folder.mkdir()
    (folder / "photo.jpg").write_bytes(b"precious")
    with pytest.raises(InputError, match="is not a gallery store"):
        open_gallery(f"usearch:{folder}", V1)
    (folder / "items.sqlite").write_bytes(b"SQLite format 3\0" + bytes(5000))
    with pytest.raises(IntegrityError, match=r"items\.sqlite is damaged"):
        open_gallery(f"usearch:{folder}", V1)
    for address in ("usearch", "usearch:", "milvus:here", "gallery"):
        with pytest.raises(InputError, match="expected the address of a gallery store, usearch:DIRECTORY"):
            open_gallery(address, V1)
    with pytest.raises(InputError, match="expected precision=float16 or int8, got precision=int4"):
        open_gallery(f"usearch:{folder}-new?precision=int4", V1)
    with open_gallery(f"usearch:{folder}-new", V1):
        pass
    with pytest.raises(InputError, match="has an index of float16, not of int8"):
        open_gallery(f"usearch:{folder}-new?precision=int8")
