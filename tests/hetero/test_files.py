"""A file is written whole or not at all, and what a kill leaves goes with the next write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hetero.errors import InputError
from hetero.files import cache_directory, write_bytes
from tests.crashes import kills


def test_a_file_survives_a_kill_at_every_write(tmp_path: Path) -> None:
    path = tmp_path / "file"
    seen: list[bytes] = []
    for _ in kills(tmp_path, lambda: write_bytes(path, b"new" * 1000), before=lambda: write_bytes(path, b"old")):
        seen.append(path.read_bytes())
        write_bytes(path, b"again")
        assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert set(seen) == {b"old", b"new" * 1000} and len(seen) >= 4


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HETERO_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 3)  # in no list of users
    with pytest.raises(InputError, match="set HETERO_CACHE"):
        cache_directory()
