"""Every item gets its vector, in the order, whatever dies and whatever changes on the way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetero.data.embeddings.file import save_embeddings
from hetero.errors import InputError
from hetero.gallery.opening import open_gallery
from hetero.gallery.store import Item
from hetero.upgrade.backfill.running.fill import Pace, Patience, batches, fill, read_order
from hetero.upgrade.backfill.running.source import FileSource
from hetero.upgrade.backfill.running.workers import Batch, Here, Processes
from tests.hetero.gallery.places import in_postgres, restart_server
from tests.hetero.upgrade.backfill.running.moving import ITEMS, NEW, OLD, Deadly, Other, Slow, filled, lay_out
from tests.hetero.upgrade.backfill.upgraded import upgraded

pytest.importorskip("usearch", reason="needs the extra gallery")
PATIENCE = Patience(20.0, "the gallery")


@pytest.fixture
def address(tmp_path: Path) -> str:
    place = f"usearch:{tmp_path / 'gallery'}"
    lay_out(tmp_path, place)
    return place


def test_an_order_is_followed_and_what_it_lacks_comes_last() -> None:
    items = [Item(name, "", "1") for name in "abcd"]
    some = list(batches(items, np.array([5, 6, 7, 8]), {"d": 0, "b": 1, "x": 2}, 3))
    assert [[item.id for item in batch.items] for batch in some] == [["d", "b", "a"], ["c"]]
    assert [batch.rows.tolist() for batch in some] == [[8, 6, 5], [7]]


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "found none"), ("rank,item\n1,a\n", "got rank, item"), ("name\na\nb\na\n", "1 names are there more")],
)
def test_what_is_no_order_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "order.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_order(tmp_path / "order.csv")


@dataclass
class Watched(Here):
    """Calls a function before each batch, and keeps the batches."""

    before: Callable[[int], object] = lambda _: None

    def vectors(self, source: Any, given: Any) -> Any:
        self.seen: list[Batch] = []
        for number, batch in enumerate(given):
            self.before(number)
            self.seen.append(batch)
            yield batch, source.vectors(batch.rows)


def test_the_plans_order_reaches_the_store(address: str, tmp_path: Path) -> None:
    workers = Watched()
    with open_gallery(address) as store:
        backfill, source = store.begin(NEW), FileSource(tmp_path / "new.safetensors")
        order = read_order(tmp_path / "order.csv")
        fill(backfill, source, order, workers, batch_size=50, patience=PATIENCE)
        assert [item.id for batch in workers.seen for item in batch.items] == ITEMS[::-1]
        assert backfill.missing() == [] and store.count(NEW) == len(ITEMS)
        assert backfill.search(upgraded().new[7:8], 1).ids == [[ITEMS[7]]]


def test_items_that_come_change_and_go_in_the_meantime(address: str, tmp_path: Path) -> None:
    made = upgraded()

    def meanwhile(number: int) -> None:
        if number == 1:
            with open_gallery(address) as other:
                other.add(made.old[:2], [ITEMS[0], ITEMS[200]], OLD)  # the first has its new vector, the other not yet
                other.remove([ITEMS[1], ITEMS[201]])
                other.add(made.old[2:3], ["late"], OLD)

    save_embeddings(tmp_path / "new.safetensors", made.new[[*range(240), 3]], [*ITEMS, "late"], NEW)
    with open_gallery(address) as store:
        backfill = store.begin(NEW)
        fill(
            backfill, FileSource(tmp_path / "new.safetensors"), {}, Watched(meanwhile), batch_size=60, patience=PATIENCE
        )
        assert store.count(NEW) == store.count(OLD) == 239
        assert backfill.missing() == []
        held = backfill.search(made.new[:1], 300, effort="exact").ids[0]
        assert sorted(held) == sorted({*ITEMS, "late"} - {ITEMS[1], ITEMS[201]})


def test_an_item_without_an_image_is_told_before_any_work(address: str, tmp_path: Path) -> None:
    with open_gallery(address) as store:
        store.add(upgraded().old[:1], ["nowhere"], OLD)
        source = FileSource(tmp_path / "new.safetensors")
        with pytest.raises(InputError, match=r"1 of 241 items have neither .*, for instance \['nowhere'\]"):
            fill(store.begin(NEW), source, {}, Here(), batch_size=60, patience=PATIENCE)
        assert store.count(NEW) == 0


def test_a_killed_worker_is_replaced_and_its_batch_done(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lives = tmp_path / "lives"
    lives.mkdir()
    for life in "ab":
        (lives / life).touch()
    with open_gallery(address) as store:
        backfill = store.begin(NEW)
        source = Deadly(tmp_path / "new.safetensors", lives)
        fill(backfill, source, {}, Processes(2), batch_size=60, patience=PATIENCE)
        assert backfill.missing() == [] and store.count(NEW) == len(ITEMS)
    assert capsys.readouterr().err.count("a worker died; another takes its place") == 2


def test_workers_that_all_die_end_the_run_with_what_is_done_kept(address: str, tmp_path: Path) -> None:
    lives = tmp_path / "lives"
    lives.mkdir()
    for life in "abcdefg":
        (lives / life).touch()
    with open_gallery(address) as store, pytest.raises(InputError, match="5 workers died one after the other"):
        source = Deadly(tmp_path / "new.safetensors", lives)
        fill(store.begin(NEW), source, {}, Processes(1), batch_size=60, patience=PATIENCE)


def test_a_worker_that_sees_something_else_is_not_believed(address: str, tmp_path: Path) -> None:
    with open_gallery(address) as store, pytest.raises(InputError, match="a worker sees another model"):
        source = Other(tmp_path / "new.safetensors")
        fill(store.begin(NEW), source, {}, Processes(1), batch_size=60, patience=PATIENCE)


def test_a_crashed_server_is_waited_for_and_nothing_is_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = in_postgres(tmp_path)
    lay_out(tmp_path, address)

    def crash() -> None:
        while filled(address) < 40:
            time.sleep(0.02)
        restart_server("immediate")

    with open_gallery(address) as store:
        backfill = store.begin(NEW)
        watch = threading.Thread(target=crash)
        watch.start()
        fill(backfill, Slow(tmp_path / "new.safetensors", 0.1), {}, Here(), batch_size=10, patience=PATIENCE)
        watch.join()
        assert "does not answer; waiting" in capsys.readouterr().err, "the server crashed before the end"
        assert backfill.missing() == [] and store.count(NEW) == len(ITEMS)
        nearest = backfill.search(upgraded().new, 1, effort="exact").ids
        assert [ids[0] for ids in nearest] == ITEMS


def test_a_rate_is_kept_and_time_lost_is_not_made_up() -> None:
    pace, start = Pace(100.0), time.monotonic()
    for _ in range(3):
        pace.keep(5)
    assert time.monotonic() - start >= 0.15
    time.sleep(0.3)
    start = time.monotonic()
    for _ in range(2):
        pace.keep(5)
    assert time.monotonic() - start >= 0.04


def test_waiting_for_a_server_has_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    psycopg = pytest.importorskip("psycopg", reason="needs the extra postgres")

    def gone() -> None:
        raise psycopg.OperationalError("the database went away")

    start = time.monotonic()
    with pytest.raises(InputError, match=r"the shop has not answered for 1 s \(the database went away\).*continues"):
        Patience(0.5, "the shop")(gone)
    assert time.monotonic() - start < 5
    assert capsys.readouterr().err.count("does not answer") == 1
