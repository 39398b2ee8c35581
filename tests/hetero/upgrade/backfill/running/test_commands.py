"""``hetero backfill run``, ``status`` and ``roll-back``, with real kills."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hetero.data.embeddings.file import load_embeddings, save_embeddings
from hetero.errors import InputError, SpaceMismatchError
from hetero.gallery.opening import open_gallery
from hetero.space import EmbeddingSpace
from hetero.upgrade.backfill.running.commands import roll_back_command, run_command, status_command
from tests.hetero.upgrade.backfill.running.moving import ITEMS, NEW, OLD, QUERIES, filled, lay_out
from tests.hetero.upgrade.backfill.upgraded import DIMENSION, upgraded
from tests.snippets import ROOT

pytest.importorskip("usearch", reason="needs the extra gallery")
Printed = pytest.CaptureFixture[str]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    lay_out(tmp_path, "usearch:gallery")
    return tmp_path


def run(**options: object) -> int:
    return run_command("usearch:gallery", "new.safetensors", **{"workers": 1, **options})  # pyright: ignore


def test_a_gallery_moves_is_judged_and_rolls_back(place: Path, capsys: Printed) -> None:
    assert run(order=Path("order.csv"), queries=Path("queries.safetensors"), before=Path("before.safetensors")) == 0
    told = capsys.readouterr()
    assert "from cloud 1" in told.err and "its queries search new and old vectors" in told.err
    assert "ann_recall@10 of the new vectors' index is 1.0000" in told.out and "is served; `hetero" in told.out
    assert status_command("usearch:gallery") == 0
    assert "served: cloud 2" in (told := capsys.readouterr().out)
    assert "served before: cloud 1" in told and "240 of 240 items (100%) to roll back to" in told
    with open_gallery("usearch:gallery") as store:
        assert store.space.space_id == NEW.space_id
        store.add(upgraded().new[:1], ["late"], NEW)
    assert roll_back_command("usearch:gallery") == 0
    assert "1 items came or changed since" in capsys.readouterr().out
    assert status_command("usearch:gallery") == 0
    assert "backfill to cloud 2" not in (told := capsys.readouterr().out) and "served: cloud 1" in told
    # The old model's vectors of what came since are added by the same command.
    save_embeddings(Path("new.safetensors"), upgraded().old[:1], ["late"], OLD)
    assert run(swap=False) == 0
    with open_gallery("usearch:gallery") as store:
        assert store.space.space_id == OLD.space_id and len(store) == 241


def flips_by_hand() -> tuple[int, int, float, float]:
    """Negative and positive flips of the queries, and cmc@1 before and after."""
    made = upgraded()
    right = [
        made.gallery_labels[np.argmax(made.query @ vectors.T, axis=1)] == made.query_labels
        for vectors in (made.old, made.new)
    ]
    negative, positive = (right[0] & ~right[1]).sum(), (~right[0] & right[1]).sum()
    return int(negative), int(positive), float(right[0].mean()), float(right[1].mean())


def test_the_gates_figures_are_those_by_hand(place: Path, capsys: Printed) -> None:
    negative, positive, before, after = flips_by_hand()
    assert after > before and positive > negative
    options = {"queries": Path("queries.safetensors")}
    assert run(**options, most_flips=0.5) == 0
    told = capsys.readouterr().out
    assert f"{negative} of 200 queries are right before the swap and wrong after it, {positive} the other way" in told
    assert f"cmc@1 {before:.4f} before, {after:.4f} after" in told


def test_a_gate_that_refuses_leaves_the_old_space_and_its_vectors(place: Path, capsys: Printed) -> None:
    made = upgraded()
    # Vectors of other items: nothing is where it should be.
    save_embeddings(place / "new.safetensors", np.roll(made.new, 40, axis=0), ITEMS, NEW)
    assert run(queries=Path("queries.safetensors")) == 1
    assert "not swapped: the old space goes on being served" in capsys.readouterr().out
    with open_gallery("usearch:gallery") as store:
        assert store.space == OLD and len(store) == 240 and store.count(NEW) == 240


def test_too_few_queries_decide_nothing(place: Path, capsys: Printed) -> None:
    save_embeddings(place / "few.safetensors", upgraded().query[:12], QUERIES[:12], NEW)
    assert run(queries=Path("few.safetensors")) == 3
    assert "not verified: about " in capsys.readouterr().out
    with open_gallery("usearch:gallery") as store:
        assert store.space == OLD


def test_filling_and_swapping_may_be_two_commands(place: Path, capsys: Printed) -> None:
    assert run(swap=False) == 0
    assert "every item has a vector of cloud 2" in capsys.readouterr().out
    assert status_command("usearch:gallery") == 0
    assert "backfill to cloud 2 (" in (told := capsys.readouterr().out)
    assert "240 of 240 items (100%); until the swap its queries search new and old vectors" in told
    assert run(queries=Path("queries.safetensors"), most_flips=0.5) == 0
    assert run(queries=Path("queries.safetensors")) == 0
    assert "cloud 2" in capsys.readouterr().err


def test_mistakes_are_told_before_any_work(place: Path) -> None:
    stranger = EmbeddingSpace.define(defined_by="stranger", name="cloud", version="3", dimension=DIMENSION)
    held = load_embeddings(place / "new.safetensors")
    save_embeddings(place / "foreign.safetensors", held.embeddings, held.names, stranger)
    save_embeddings(place / "asked.safetensors", upgraded().query, QUERIES, stranger)
    queries = Path("queries.safetensors")
    wrong = [
        (run, "--queries: expected students' queries"),
        (lambda: run(swap=False, data="photos"), "--data: new.safetensors holds vectors"),
        (lambda: run_command("usearch:gallery", "models/v2", swap=False), "--data: expected where the images"),
        (lambda: run(queries=Path("before.safetensors")), "different embedding spaces"),
        (lambda: run(queries=queries, order=Path("labels.csv")), "expected an order at labels.csv"),
        (lambda: run(queries=queries, before=queries), "different embedding spaces"),
        (
            lambda: run_command("usearch:gallery", "foreign.safetensors", queries=Path("asked.safetensors")),
            "--before: cloud 3 does not search the vectors of cloud 1",
        ),
    ]
    for call, message in wrong:
        with pytest.raises(InputError, match=message):
            call()
    assert filled("usearch:gallery") == 0


def test_a_space_that_is_not_compatible_is_refused_until_the_swap(place: Path, capsys: Printed) -> None:
    stranger = EmbeddingSpace.define(defined_by="stranger", name="cloud", version="3", dimension=DIMENSION)
    made = upgraded()
    save_embeddings(place / "foreign.safetensors", made.new, ITEMS, stranger)
    save_embeddings(place / "asked.safetensors", made.query, QUERIES, stranger)
    assert run_command("usearch:gallery", "foreign.safetensors", swap=False, workers=1) == 0
    assert "until the swap its queries are refused" in capsys.readouterr().err
    with open_gallery("usearch:gallery") as store, pytest.raises(SpaceMismatchError):
        store.search(made.query[:1], 1, stranger)
    options = {"queries": Path("asked.safetensors"), "before": Path("before.safetensors"), "most_flips": 0.5}
    assert run_command("usearch:gallery", "foreign.safetensors", workers=1, **options) == 0
    with open_gallery("usearch:gallery") as store:
        assert store.search(made.new[9:10], 1, stranger).ids == [[ITEMS[9]]]


def test_killed_workers_and_a_killed_command_lose_nothing(place: Path) -> None:
    command = [sys.executable, "-m", "hetero", "backfill", "run", "usearch:gallery", "new.safetensors", "--no-swap"]
    command += ["--order", "order.csv", "--batch-size", "2", "--workers", "2", "--plain"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        for stop in (4, 20):
            await_filled(stop)
            killed = min(workers_of(process.pid))
            os.kill(killed, signal.SIGKILL)
        await_filled(60)
        orphans = workers_of(process.pid)
        process.kill()
        assert process.stderr is not None
        assert process.stderr.read().count("a worker died") == 2
    there = filled("usearch:gallery")
    assert 60 <= there < 240, "it was killed on the way"
    deadline = time.monotonic() + 20
    while any(is_alive(one) for one in orphans) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_alive(one) for one in orphans), "workers end with the command"
    with open_gallery("usearch:gallery") as store:
        first = store.begin(NEW).search(upgraded().new[-1:], 300, effort="exact").ids[0]
    # What was on its way when somebody died is done a little later than the plan has it.
    assert len(first) == there and set(first) <= set(ITEMS[::-1][: there + 10])
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
    with open_gallery("usearch:gallery") as store:
        backfill = store.begin(NEW)
        assert backfill.missing() == [] and store.count(NEW) == store.count(OLD) == 240
        assert [ids[0] for ids in backfill.search(upgraded().new, 1, effort="exact").ids] == ITEMS


def await_filled(count: int) -> None:
    deadline = time.monotonic() + 60
    while filled("usearch:gallery") < count:
        assert time.monotonic() < deadline, "it does not get on"
        time.sleep(0.005)


def workers_of(command: int) -> list[int]:
    """The processes that it has started to compute."""
    children = Path(f"/proc/{command}/task/{command}/children").read_text(encoding="ascii").split()
    return [int(one) for one in children if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def is_alive(process: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    return False
