"""A file is written whole or not at all, and what a kill leaves goes with the next write."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hetero.cli.ending import ending
from hetero.errors import InputError
from hetero.files import cache_directory, write_bytes
from tests.crashes import kills
from tests.snippets import ROOT


def test_a_file_survives_a_kill_at_every_write(tmp_path: Path) -> None:
    path = tmp_path / "file"
    seen: list[bytes] = []
    for _ in kills(tmp_path, lambda: write_bytes(path, b"new" * 1000), before=lambda: write_bytes(path, b"old")):
        seen.append(path.read_bytes())
        write_bytes(path, b"again")
        assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert seen == [b"old"] * 3 and path.read_bytes() == b"new" * 1000


def test_a_full_disk_is_told_with_the_file_that_it_has_no_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space") as told:
        write_bytes(tmp_path / "file", b"")
    assert ending(told.value) == (2, f"{tmp_path / 'file'}: No space left on device")
    assert [*tmp_path.iterdir()] == []


def test_what_the_umask_takes_away_stays_away(tmp_path: Path) -> None:
    program = """
from pathlib import Path
from hetero.storage.directories import replaced_directory
from hetero.files import write_bytes
with replaced_directory(Path("folder")) as fresh:
    write_bytes(fresh / "file", b"")
write_bytes(Path("file"), b"")
"""
    seen: list[list[int]] = []
    for umask in (0o022, 0o077):
        place = tmp_path / oct(umask)
        place.mkdir()
        command = [sys.executable, "-P", "-c", program]
        subprocess.run(command, cwd=place, env={"PYTHONPATH": str(ROOT)}, umask=umask, check=True)
        paths = place / "folder", place / "folder" / "file", place / "file"
        seen.append([stat.S_IMODE(path.stat().st_mode) for path in paths])
    assert seen == [[0o755, 0o644, 0o644], [0o700, 0o600, 0o600]]


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HETERO_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 3)  # in no list of users
    with pytest.raises(InputError, match="set HETERO_CACHE"):
        cache_directory()
