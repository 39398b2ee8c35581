"""``hetero backfill run`` on an embedded gallery, killed at each of its writes and run again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hetero.gallery.opening import open_gallery
from hetero.upgrade.backfill.running import workers
from hetero.upgrade.backfill.running.commands import run_command
from tests.crashes import kills
from tests.hetero.upgrade.backfill.running.moving import ITEMS, NEW, OLD, lay_out
from tests.hetero.upgrade.backfill.upgraded import upgraded

pytest.importorskip("usearch", reason="needs the extra gallery")

from hetero.gallery.embedded.index import SpaceIndex


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, "usearch:laid-out")
    with monkeypatch.context() as patched, open_gallery("usearch:laid-out") as store:
        # As a killed process leaves it: the saved index lacks what it added, so that this command saves both indexes.
        patched.setattr(SpaceIndex, "save", lambda _: None)
        store.add(upgraded().old[:9], ITEMS[:9], OLD)
    # Workers write nothing, and are killed in the tests of the command; a new process for each run would take a second.
    monkeypatch.setattr(workers, "Processes", lambda _: workers.Here())
    return tmp_path


def run() -> int:
    return run_command(
        "usearch:gallery",
        "new.safetensors",
        order=Path("order.csv"),
        queries=Path("queries.safetensors"),
        most_flips=0.5,
        batch_size=60,
        workers=1,
    )


def begin_anew() -> None:
    shutil.rmtree("gallery", ignore_errors=True)
    shutil.copytree("laid-out", "gallery")


def test_a_kill_at_any_write_is_made_good_by_the_same_command(place: Path) -> None:
    made, filled = upgraded(), list[int]()
    old, new = [made.old[row] for row in (4, 100)], [made.new[row] for row in (4, 100)]
    for _ in kills(place / "gallery", run, before=begin_anew):
        with open_gallery("usearch:gallery", read_only=True) as store:
            # What is served answers, before the swap and after it.
            served = store.space
            query = new if served.space_id == NEW.space_id else old
            assert [store.search(one[None], 1, served).ids[0][0] for one in query] == [ITEMS[4], ITEMS[100]]
            spaces = {one.space_id for one in store.spaces()}
            filled.append(store.count(NEW) if NEW.space_id in spaces else -1)
        assert run() == 0
        require_moved()
    assert {-1, 0, 60, 120, 180, 240} == {*filled} and filled == sorted(filled)


def require_moved() -> None:
    """Every item once in the new space, which is served; nothing temporary; and the old vectors to roll back to."""
    made = upgraded()
    assert sorted(path.name for path in Path("gallery").iterdir()) == ["index-1", "index-2", "items.sqlite"]
    with open_gallery("usearch:gallery") as store:
        assert store.space.space_id == NEW.space_id
        assert len(store) == store.count(OLD) == len(ITEMS)
        backfill = store.begin(NEW)
        assert backfill.missing() == []
        assert [ids[0] for ids in store.search(made.new, 1, NEW, effort=240).ids] == ITEMS
        assert sorted(store.search(made.new[:1], 300, NEW, effort="exact").ids[0]) == sorted(ITEMS)
        assert backfill.roll_back() == 0
        assert [ids[0] for ids in store.search(made.old, 1, OLD, effort=240).ids] == ITEMS
