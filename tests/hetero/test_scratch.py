"""A folder for the time being is gone afterwards, however its process ended."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hetero.storage.scratch import scratch_folder
from tests.crashes import kills

ROOT = Path(__file__).parents[2]
KILLED = (
    "import os\nfrom hetero.storage.scratch import scratch_folder\n"
    "with scratch_folder('x') as folder: (folder / 'file').touch(); os.kill(os.getpid(), 9)"
)


def test_what_a_killed_process_left_is_removed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with scratch_folder("x") as used:
        (used / "file").touch()
        assert subprocess.run([sys.executable, "-c", KILLED], cwd=ROOT, check=False).returncode == -9
        assert len(list(tmp_path.iterdir())) == 2
        with scratch_folder("y") as other:
            assert len(list(tmp_path.iterdir())) == 3
        with scratch_folder("x") as fresh:
            assert {*tmp_path.iterdir()} == {used, fresh}
        assert (used / "file").exists()
        assert not other.exists()
    assert not list(tmp_path.iterdir())


def test_a_command_removes_what_it_does_not_need_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert subprocess.run([sys.executable, "-c", KILLED], cwd=ROOT, check=False).returncode == -9
    (tmp_path / ".other.0123abcd.unfinished").mkdir()
    assert len(list(tmp_path.iterdir())) == 2
    subprocess.run([sys.executable, "-m", "hetero", "--version"], cwd=ROOT, check=True)
    assert [one.name for one in tmp_path.iterdir()] == [".other.0123abcd.unfinished"]


def test_a_kill_at_any_write_leaves_nothing_to_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def used() -> None:
        with scratch_folder("x") as folder:
            (folder / "file").touch()

    count = 0
    for _ in kills(tmp_path, used, before=lambda: None):
        used()
        count += 1
        assert not list(tmp_path.iterdir())
    assert count >= 4
