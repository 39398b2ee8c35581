"""A file is written whole or not at all, and what a kill leaves goes with the next write."""

from __future__ import annotations

from pathlib import Path

from hetero.files import write_bytes
from tests.crashes import kills


def test_a_file_survives_a_kill_at_every_write(tmp_path: Path) -> None:
    path = tmp_path / "file"
    seen: list[bytes] = []
    for _ in kills(tmp_path, lambda: write_bytes(path, b"new" * 1000), before=lambda: write_bytes(path, b"old")):
        seen.append(path.read_bytes())
        write_bytes(path, b"again")
        assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert seen == [b"old"] * 3 and path.read_bytes() == b"new" * 1000
