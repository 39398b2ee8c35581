from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from device_tests.targets.debian.apt_root import AptRoot
from device_tests.targets.debian.apt_sources import Source
from device_tests.targets.stages import locked
from hetero.errors import InputError

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="needs Debian's package tools")


def test_an_archive_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    # Nothing listens on the discard port.
    source = Source(("http://127.0.0.1:9/debian",), ("bookworm",), ("main",))
    with locked(tmp_path, say=print) as lock:
        apt = AptRoot(tmp_path / "apt", "arm64", [source.stanza("arm64", source.suites)], lock, retries=0)
        with pytest.raises(InputError) as caught:
            apt.update()
    assert "apt-get" in str(caught.value)
    assert "127.0.0.1" in "".join(caught.value.problems)


def test_nothing_outside_its_folder_is_configured(tmp_path: Path) -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    try:
        AptRoot(tmp_path, "arm64", [], descriptor)
    finally:
        os.close(descriptor)
    settings = (tmp_path / "apt.conf").read_text()
    assert 'APT::Architecture "arm64"' in settings
    for line in settings.splitlines():
        if line.startswith("Dir::"):
            assert str(tmp_path) in line or "/dev/null" in line, line


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="HETERO_CACHE"), locked(tmp_path / "file" / "root", say=print):
        pass
