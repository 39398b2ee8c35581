"""Stages run side by side in processes of their own: in order, ended together, continued, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import termios
import time
from functools import partial
from pathlib import Path

import pytest

from hetero.errors import InputError
from hetero.pipeline.engine.graph import run_graph
from hetero.pipeline.engine.stage import PARTIAL, up_to_date
from tests.hetero.pipeline import fake_stages
from tests.hetero.pipeline.fake_stages import PATIENCE, stage, wait_for


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def signs(tmp_path) -> Path:
    place = tmp_path / "signs"
    place.mkdir()
    return place


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_gone(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_independent_stages_run_at_the_same_time_and_others_after_those_that_they_build_on(root, signs):
    first = stage("first", partial(fake_stages.note_times, signs, "first", 0.0))
    left = stage("left", partial(fake_stages.meet, signs, "left", "right"), ("first",))
    right = stage("right", partial(fake_stages.meet, signs, "right", "left"), ("first",))
    last = stage("last", partial(fake_stages.need, root, ("first", "left", "right")), ("left", "right"))
    ran = run_graph(root, [last, first, left, right], jobs=2)
    assert ran[0] == "first" and sorted(ran[1:3]) == ["left", "right"] and ran[3:] == ["last"]
    assert (root / "last" / "out.txt").read_text() == "firstleftright"
    assert run_graph(root, [last, first, left, right], jobs=2) == []


def test_one_job_runs_one_stage_at_a_time_in_the_order_given(root, signs):
    stages = [stage(name, partial(fake_stages.note_times, signs, name, 0.2)) for name in ("b", "a", "c")]
    assert run_graph(root, stages, jobs=1) == ["b", "a", "c"]
    times = [[float(one) for one in (signs / name).read_text().split()] for name in ("b", "a", "c")]
    assert times[0][1] <= times[1][0] and times[1][1] <= times[2][0]


def test_what_others_build_on_need_not_be_among_the_stages(root, signs):
    made = stage("made", partial(fake_stages.note_times, signs, "made", 0.0))
    run_graph(root, [made], jobs=1)
    assert run_graph(root, [stage("user", partial(fake_stages.need, root, ("made",)), ("made",))], jobs=1) == ["user"]


def test_a_stage_that_fails_ends_the_others_and_what_is_finished_or_begun_is_kept(root, signs):
    done = stage("done", partial(fake_stages.note_times, signs, "done", 0.0))
    hanging = stage("hanging", partial(fake_stages.hang, signs), ("done",))
    failing = stage("failing", partial(fake_stages.refuse, signs), ("done",))
    never = stage("never", partial(fake_stages.note_times, signs, "never", 0.0), ("failing",))
    started = time.monotonic()
    with pytest.raises(InputError) as caught:
        run_graph(root, [done, hanging, failing, never], jobs=2)
    assert str(caught.value) == "this cannot be done:\n  - first reason\n  - second reason"
    assert time.monotonic() - started < PATIENCE
    assert is_gone(int((signs / "hanging.pid").read_text()))
    assert up_to_date(root, done) and not (signs / "never").exists()
    assert (root / PARTIAL / "hanging" / "half.txt").exists()
    assert run_graph(root, [done, hanging], jobs=2) == ["hanging"]
    assert (root / "hanging" / "out.txt").read_text() == "whole"


def test_an_unexpected_error_says_where_it_was_raised(root):
    with pytest.raises(ZeroDivisionError, match="in broken") as caught:
        run_graph(root, [stage("broken", partial(fake_stages.stumble))], jobs=1)
    assert "fake_stages.py" in caught.value.__notes__[0] and "stumble" in caught.value.__notes__[0]


def test_a_process_that_dies_is_told_with_its_stage(root):
    with pytest.raises(InputError, match=r"doomed: its process was killed by SIGKILL.*same command continues"):
        run_graph(root, [stage("doomed", partial(fake_stages.die))], jobs=1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_no_process_behind_and_continues(root, signs, number):
    command = [sys.executable, "-m", "tests.hetero.pipeline.fake_stages", str(root), str(signs)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(signs / "hanging.pid")
    hanging = int((signs / "hanging.pid").read_text())
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    wait_until_gone(hanging)
    assert process.returncode == (130 if number == signal.SIGINT else -number), errors
    assert "Traceback" not in errors
    again = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert "[1/2] done: up to date" in again.stderr and "[2/2] long: done in" in again.stderr
    assert (root / "long" / "out.txt").read_text() == "whole"


def test_elsewhere_than_on_a_terminal_whole_lines_are_shown_with_the_stage_that_says_them(root, capfd):
    run_graph(root, [stage("speaker", partial(fake_stages.talk), threads=3)], jobs=1)
    lines = capfd.readouterr().err.splitlines()
    assert lines[:2] == ["[1/1] speaker ...", "speaker: a note"]
    assert lines[2].startswith("speaker: working: 100%") and lines[3].startswith("[1/1] speaker: done in")
    assert len(lines) == 4
    assert (root / "speaker" / "out.txt").read_text() == "3"


def test_on_a_terminal_each_running_stage_has_a_line(root, signs, tmp_path):
    """A pseudo-terminal sees the bar's states, overwritten in place."""
    program = tmp_path / "program.py"
    program.write_text(
        "import sys\nfrom functools import partial\nfrom pathlib import Path\n"
        "from hetero.pipeline.engine.graph import run_graph\nfrom tests.hetero.pipeline import fake_stages\n"
        "if __name__ == '__main__':\n"
        "    stage = fake_stages.stage('speaker', partial(fake_stages.talk))\n"
        "    run_graph(Path(sys.argv[1]), [stage], jobs=1)\n"
    )
    main, end = os.openpty()
    termios.tcsetwinsize(end, (24, 100))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, str(program), str(root)], stderr=end, env=environment) as process:
        os.close(end)
        said = b""
        while True:
            try:
                part = os.read(main, 4096)
            except OSError:
                break
            said += part
    os.close(main)
    assert process.returncode == 0
    assert b"[1/1] speaker ..." in said and b"\rspeaker: working:" in said
