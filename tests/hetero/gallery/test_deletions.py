"""Deletions are forgotten once saved indexes have taken them in, and whoever has not seen them notices."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from hetero.gallery.checked import CheckedStore
from hetero.gallery.opening import open_gallery
from tests.crashes import kills
from tests.hetero.gallery.places import V1, V2, names, vectors

pytest.importorskip("usearch", reason="needs the extra gallery")

from hetero.gallery.embedded import index
from hetero.gallery.embedded.database import Database
from hetero.gallery.embedded.deletions import Deletions

COUNT = 40
HALF = COUNT // 2


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(index, "_FEWEST_UNSAVED", 10)
    with open_gallery(f"usearch:{tmp_path / 'gallery'}", V1) as store:
        store.add(vectors(COUNT), names(COUNT), V1)
    return tmp_path / "gallery"


def opened(folder: Path, *, read_only: bool = False) -> CheckedStore:
    return open_gallery(f"usearch:{folder}", read_only=read_only)


@contextmanager
def tables(folder: Path) -> Generator[Database]:
    database = Database(folder / "items.sqlite", read_only=False)
    yield database
    database.close()


def known(folder: Path) -> list[tuple[int, int]]:
    """Number and key of the deletions that are noted."""
    with tables(folder) as database:
        return database.rows("SELECT number, key FROM deleted ORDER BY number")


def replace(store: CheckedStore, rounds: int, *, first: int = 0) -> None:
    """Give half of the items new vectors, again and again, those of the seeds from the first on."""
    for number in range(first, first + rounds):
        store.add(vectors(HALF, seed=100 + number), names(HALF), V1)


def require_found(store: CheckedStore, seed: int, *, without: int = 0) -> None:
    """The first half is found by the vectors of a seed and the other by its own; the last ones are gone."""
    there = names(COUNT)[: COUNT - without]
    held = np.concatenate([vectors(HALF, seed=100 + seed), vectors(COUNT)[HALF:]])[: len(there)]
    for effort in (200, "exact"):
        found = store.search(held, 2 * COUNT, V1, effort=effort)
        assert [ids[0] for ids in found.ids] == there
        assert all(sorted(ids) == sorted(there) for ids in found.ids)


def test_a_deletion_that_stands_for_others_tells_whoever_has_not_seen_it(tmp_path: Path) -> None:
    with open_gallery(f"usearch:{tmp_path}", V1) as store:
        store.begin(V2)
    with tables(tmp_path) as database:
        for number in range(1, 9):
            database.rows("INSERT INTO deleted (space, key) VALUES (?, ?)", [1 + number % 2, 10 * number])
        one, other = Deletions(database, 1), Deletions(database, 2)
        assert (one.last(), other.last()) == (8, 7)
        one.forget(0)
        one.forget(5)  # of the other space: nothing would be left in its place
        assert one.after(0) == [(2, 20), (4, 40), (6, 60), (8, 80)]
        one.forget(6)
        for _ in range(2):
            assert one.after(0) is None and one.after(4) is None
            assert one.after(6) == [(8, 80)] and one.after(8) == []
            assert other.after(0) == [(1, 10), (3, 30), (5, 50), (7, 70)]
            one.forget(4)
        one.forget(8)
        assert one.after(6) is None and one.after(8) == [] and one.last() == 8
        assert database.value("SELECT count(*) FROM deleted WHERE space = 1") == 1


def test_many_replacements_leave_few_notes(folder: Path) -> None:
    counts = list[int]()
    with opened(folder) as store, opened(folder, read_only=True) as reader:
        for number in range(20):
            replace(store, 1, first=number)
            counts.append(len(known(folder)))
            if number % 5 == 4:
                require_found(reader, number)
        require_found(store, 19)
    # What two saves took in, and none of the 400 otherwise.
    assert max(counts) <= 3 * HALF
    with opened(folder) as store:
        require_found(store, 19)


@pytest.mark.parametrize("read_only", [True, False])
def test_whoever_opened_before_and_slept_finds_nothing_that_is_gone(
    folder: Path, read_only: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(folder) as store, opened(folder, read_only=read_only) as sleeper:
        replace(store, 1)
        with monkeypatch.context() as patched:
            # It saves nothing, which would drop the names of what is gone.
            patched.setattr(index, "_FEWEST_UNSAVED", 10**6)
            require_found(sleeper, 0)
        (seen, _), *_ = reversed(known(folder))
        replace(store, 6, first=1)
        store.remove(names(COUNT)[-3:])
        assert known(folder)[0][0] > seen + 1, "what it has not seen is forgotten"
        with monkeypatch.context() as patched:
            patched.setattr(index, "_FEWEST_UNSAVED", 10**6)
            require_found(sleeper, 6, without=3)
        if not read_only:
            replace(sleeper, 6, first=7)
            require_found(sleeper, 12, without=3)
            require_found(store, 12, without=3)


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("fate", ["older", "lost"])
def test_an_index_that_is_too_old_is_made_again(folder: Path, read_only: bool, fate: str) -> None:
    """As by a process that began to save long ago and ends after others."""
    shutil.copytree(folder / "index-1", folder / "older")
    with opened(folder) as store:
        replace(store, 8)
        store.remove(names(COUNT)[-3:])
    shutil.rmtree(folder / "index-1")
    if fate == "older":
        shutil.copytree(folder / "older", folder / "index-1")
    with opened(folder, read_only=read_only) as store:
        require_found(store, 7, without=3)
    with opened(folder) as store:
        replace(store, 3, first=8)
        require_found(store, 10, without=3)
    with opened(folder, read_only=True) as store:
        require_found(store, 10, without=3)


def test_an_index_that_was_saved_a_little_too_late_does(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a process that began to save just before another one, and ends just after it."""
    with opened(folder) as store:
        replace(store, 3)
        shutil.copytree(folder / "index-1", folder / "older")
        replace(store, 1, first=3)
    (folder / "index-1").rename(folder / "newer")
    (folder / "older").rename(folder / "index-1")
    monkeypatch.delattr(index.SpaceIndex, "_begin_anew")
    with opened(folder) as store:
        require_found(store, 3)


def test_a_backfill_forgets_of_each_space_its_own(folder: Path) -> None:
    new = vectors(COUNT, space=V2)
    with opened(folder) as store, opened(folder, read_only=True) as reader:
        require_count(reader, COUNT)
        backfill = store.begin(V2)
        for number in range(8):
            items = backfill.missing()
            backfill.add(new[[int(item.id.split()[1]) for item in items]], items, V2)
            replace(store, 1, first=number)
        items = backfill.missing()
        backfill.add(new[[int(item.id.split()[1]) for item in items]], items, V2)
        backfill.swap()
        assert [ids[0] for ids in reader.search(new, 1, V2).ids] == names(COUNT)
        require_count(reader, COUNT)
        assert backfill.roll_back() == 0
        require_found(reader, 7)
        require_found(store, 7)
    assert len(known(folder)) <= 6 * HALF


def require_count(store: CheckedStore, count: int) -> None:
    (ids,) = store.search(np.eye(1, store.space.dimension, dtype=np.float32), 2 * COUNT, store.space).ids
    assert len(ids) == len(set(ids)) == count


def test_a_kill_at_any_write_loses_no_deletion(folder: Path, tmp_path: Path) -> None:
    with opened(folder) as store:
        replace(store, 3)

    def begin_anew() -> None:
        shutil.rmtree(tmp_path / "killed", ignore_errors=True)
        shutil.copytree(folder, tmp_path / "killed")

    def act() -> None:
        with opened(tmp_path / "killed") as store:
            replace(store, 1, first=3)
            store.remove(names(COUNT)[-3:])

    seen = list[tuple[int, bool, int]]()
    for _ in kills(tmp_path / "killed", act, before=begin_anew):
        with tables(tmp_path / "killed") as database:
            noted, count = (database.value(f"SELECT count(*) FROM {table}") for table in ("deleted", "items"))
            is_replaced = database.value("SELECT max(revision) FROM items") > COUNT + 3 * HALF
        seen.append((noted, is_replaced, count))
        for read_only in (True, False):
            with opened(tmp_path / "killed", read_only=read_only) as store:
                require_found(store, 3 if is_replaced else 2, without=COUNT - count)
    # Nothing yet; replaced; the notes up to the save before are forgotten; removed.
    few, more = HALF + 1, 2 * HALF + 1
    assert list(dict.fromkeys(seen)) == [
        (few, False, COUNT),
        (more, True, COUNT),
        (few, True, COUNT),
        (few + 3, True, COUNT - 3),
    ]
