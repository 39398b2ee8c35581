"""The first file system of an emulated device."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from device_tests.targets.system import cpio

ENTRIES = {
    "init": cpio.file(b"#!/bin/sh\n", program=True),
    "a/b/text": cpio.file(b"12345"),
    "a/link": cpio.link("/a/b/text"),
    "dev/console": cpio.console(),
}


def members(archive: bytes) -> dict[str, tuple[int, bytes, tuple[int, int]]]:
    """Written from the format's description: a header of 110 characters, name and content padded to four bytes."""
    found, at = {}, 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * index : at + 14 + 8 * index], 16) for index in range(13)]
        size, length = fields[6], fields[11]
        name = archive[at + 110 : at + 110 + length - 1].decode()
        at = -(-(at + 110 + length) // 4) * 4
        if name == "TRAILER!!!":
            assert at == len(archive)
            return found
        found[name] = (fields[1], archive[at : at + size], (fields[9], fields[10]))
        assert (fields[2], fields[3]) == (0, 0), "owned by root"
        at = -(-(at + size) // 4) * 4


def test_every_entry_and_the_folders_that_hold_them() -> None:
    found = members(cpio.archive(ENTRIES))
    assert set(found) == {*ENTRIES, "a", "a/b", "dev"}
    assert found["init"][:2] == (stat.S_IFREG | 0o755, b"#!/bin/sh\n")
    assert found["a/b/text"][:2] == (stat.S_IFREG | 0o644, b"12345")
    assert found["a/link"][:2] == (stat.S_IFLNK | 0o777, b"/a/b/text")
    assert found["dev/console"] == (stat.S_IFCHR | 0o600, b"", (5, 1))
    assert all(stat.S_ISDIR(found[name][0]) for name in ("a", "a/b", "dev"))
    assert list(found).index("a") < list(found).index("a/b") < list(found).index("a/b/text")


@pytest.mark.skipif(shutil.which("cpio") is None, reason="cpio is not installed")
def test_cpio_itself_unpacks_it(tmp_path: Path) -> None:
    entries = {name: entry for name, entry in ENTRIES.items() if name != "dev/console"}
    subprocess.run(["cpio", "-id", "--quiet"], input=cpio.archive(entries), cwd=tmp_path, check=True)
    assert (tmp_path / "a" / "b" / "text").read_bytes() == b"12345"
    assert os.access(tmp_path / "init", os.X_OK)
