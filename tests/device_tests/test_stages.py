from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from device_tests.targets.stages import (
    SetUpStage,
    ensure,
    is_done,
    locked,
    remove_unfinished,
    stage_record,
    tree_digest,
)


def stage(inputs: object = 1, text: str = "a", runs: list[int] | None = None) -> SetUpStage:
    def build(folder: Path) -> None:
        if runs is not None:
            runs.append(1)
        (folder / "file").write_text(text)

    return SetUpStage("part", "building", inputs, build)


def test_a_finished_stage_is_not_built_again(tmp_path: Path) -> None:
    runs: list[int] = []
    assert ensure(tmp_path, stage(runs=runs))
    assert not ensure(tmp_path, stage(runs=runs))
    assert len(runs) == 1


def test_other_inputs_build_it_again(tmp_path: Path) -> None:
    ensure(tmp_path, stage(1, "a"))
    assert not is_done(tmp_path, stage(2))
    assert ensure(tmp_path, stage(2, "b"))
    assert (tmp_path / "part" / "file").read_text() == "b"


def test_a_failing_stage_leaves_what_stood(tmp_path: Path) -> None:
    ensure(tmp_path, stage(1, "a"))

    def fail(folder: Path) -> None:
        (folder / "file").write_text("half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        ensure(tmp_path, SetUpStage("part", "", 2, fail))
    assert (tmp_path / "part" / "file").read_text() == "a"
    assert is_done(tmp_path, stage(1))


def test_what_a_killed_stage_leaves_is_not_taken_for_done(tmp_path: Path) -> None:
    code = (
        "import os, pathlib; from device_tests.targets.stages import *\n"
        "def build(folder):\n    (folder / 'file').write_text('half'); os.kill(os.getpid(), 9)\n"
        f"ensure(pathlib.Path({str(tmp_path)!r}), SetUpStage('part', '', 1, build))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] != []
    remove_unfinished(tmp_path)
    assert not is_done(tmp_path, stage(1))
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
    assert ensure(tmp_path, stage(1, "a"))


def test_the_digest_sees_contents_links_and_bits_but_not_times(tmp_path: Path) -> None:
    def tree(name: str, content: str = "x", link: str = "file", mode: int = 0o644) -> str:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "file").write_text(content)
        (folder / "file").chmod(mode)
        (folder / "link").symlink_to(link)
        return tree_digest(folder)

    first = tree("a")
    time.sleep(0.01)
    assert tree("b") == first
    assert len({first, tree("c", content="y"), tree("d", link="other"), tree("e", mode=0o755)}) == 4


def test_byte_code_does_not_count(tmp_path: Path) -> None:
    ensure(tmp_path, stage())
    before = stage_record(tmp_path, "part")["tree"]
    (tmp_path / "part" / "__pycache__").mkdir()
    (tmp_path / "part" / "__pycache__" / "x.pyc").write_bytes(b"1")
    assert tree_digest(tmp_path / "part") == before


def test_a_second_process_waits(tmp_path: Path) -> None:
    code = (
        "import pathlib, time; from device_tests.targets.stages import locked\n"
        f"with locked(pathlib.Path({str(tmp_path)!r}), say=print):\n    print('held', flush=True); time.sleep(1)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        said: list[str] = []
        with locked(tmp_path, say=said.append):
            assert holder.poll() is not None or holder.wait(5) == 0
        assert len(said) == 1


def test_children_keep_the_lock_of_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, subprocess; from device_tests.targets.stages import locked\n"
        f"with locked(pathlib.Path({str(tmp_path)!r}), say=print) as lock:\n"
        "    subprocess.Popen(['sleep', '1'], pass_fds=(lock,)); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    said: list[str] = []
    with locked(tmp_path, say=said.append):
        assert len(said) == 1
