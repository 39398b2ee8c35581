"""Stages are skipped when nothing changed, continue where they stopped, and never leave half a result."""

import multiprocessing
from pathlib import Path

import pytest

from hetero.errors import InputError
from hetero.files import write_text
from hetero.pipeline.engine.stage import RunStage, run_stages, up_to_date
from hetero.processes.lock import locked
from tests.crashes import kills


def stage(identity: str, calls: list[str], text: str = "result", **rest) -> RunStage:
    def produce(work: Path) -> None:
        calls.append(identity)
        (work / "out.txt").write_text(text)

    return RunStage("one", "one", identity, produce, **rest)


def test_an_unchanged_stage_is_skipped_and_a_changed_one_runs(tmp_path):
    calls: list[str] = []
    assert run_stages(tmp_path, [stage("a", calls)]) == ["one"]
    assert run_stages(tmp_path, [stage("a", calls)]) == []
    assert run_stages(tmp_path, [stage("b", calls)]) == ["one"]
    assert calls == ["a", "b"]


def test_a_stage_that_fails_keeps_the_last_result_and_goes_on_in_what_it_had(tmp_path):
    run_stages(tmp_path, [stage("a", [])])

    def die(work: Path) -> None:
        (work / "half.txt").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stages(tmp_path, [RunStage("one", "one", "b", die)])
    assert (tmp_path / "one" / "out.txt").read_text() == "result"
    assert not up_to_date(tmp_path, RunStage("one", "one", "b", die))

    def resume(work: Path) -> None:
        assert (work / "half.txt").read_text() == "half"
        (work / "out.txt").write_text("whole")

    run_stages(tmp_path, [RunStage("one", "one", "b", resume)])
    assert (tmp_path / "one" / "out.txt").read_text() == "whole"


def test_what_a_stage_of_another_identity_left_is_not_continued(tmp_path):
    def die(work: Path) -> None:
        (work / "half.txt").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_stages(tmp_path, [RunStage("one", "one", "a", die)])

    def produce(work: Path) -> None:
        assert not (work / "half.txt").exists()

    run_stages(tmp_path, [RunStage("one", "one", "b", produce)])


def test_published_files_follow_the_stage_and_scratch_is_removed(tmp_path):
    calls: list[str] = []
    run_stages(tmp_path, [stage("a", calls, "first", publish=("out.txt",))])
    (tmp_path / "out.txt").unlink()
    run_stages(tmp_path, [stage("a", calls, "first", publish=("out.txt",))])
    assert (tmp_path / "out.txt").read_text() == "first"
    run_stages(tmp_path, [stage("b", calls, "second", publish=("out.txt",), scratch=("absent",))])
    assert (tmp_path / "out.txt").read_text() == "second"
    assert calls == ["a", "b"]
    run_stages(tmp_path, [stage("c", calls, "third", scratch=("out.txt",))])
    assert not (tmp_path / "one" / "out.txt").exists()


def test_a_stage_survives_a_kill_at_every_write(tmp_path):
    """One record of what was there, one whole stage of either identity, and the same files as without the kill."""

    def produce(work: Path, text: str) -> None:
        if not (work / "out.txt").exists():
            write_text(work / "out.txt", text)
        write_text(work / "scratch.txt", text)

    def run(text: str) -> None:
        rest = {"publish": ("out.txt",), "scratch": ("scratch.txt",)}
        run_stages(tmp_path, [RunStage("one", "one", text, lambda work: produce(work, text), **rest)])

    def files() -> dict[str, bytes]:
        return {str(one.relative_to(tmp_path)): one.read_bytes() for one in tmp_path.rglob("*") if one.is_file()}

    run("first")
    first = files()
    run("second")
    second = files()
    assert sorted(first) == [".partial/.one.lock", "one/out.txt", "one/stage.json", "out.txt"]
    count = 0
    for _ in kills(tmp_path, lambda: run("second"), before=lambda: run("first")):
        count += 1
        assert (tmp_path / "one" / "out.txt").read_text() in ("first", "second")
        again, text = (first, "first") if count % 2 else (second, "second")
        run(text)
        assert files() == again
    assert count > 20


def _try_lock(root: Path, answers) -> None:
    try:
        with locked(root):
            answers.put("locked")
    except InputError as error:
        answers.put(str(error))


def test_two_processes_do_not_work_on_one_run(tmp_path):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    with locked(tmp_path):
        process = context.Process(target=_try_lock, args=(tmp_path, answers))
        process.start()
        assert "another process is working on" in answers.get(timeout=60)
        process.join()


def test_several_processes_that_torchrun_started_do_not_work_on_one_run(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="torchrun started 2 processes"), locked(tmp_path / "run"):
        pass
    assert not list(tmp_path.iterdir())
