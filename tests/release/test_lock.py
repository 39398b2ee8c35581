"""The lock file holds what constraints.txt declares, each file by its digest, and no place to fetch it from."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from release.lock import Locked, read_lock
from tests.snippets import ROOT

# What the public build of torch for Linux needs beside what was tested, which is its build without CUDA.
OF_CUDA = ("cuda-", "nvidia-", "triton")
WITH_EVERY_PYTHON = "setuptools"


def declared() -> dict[str, str]:
    lines = ROOT.joinpath("constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.split("==") for line in lines if not line.startswith("#"))
    return {str(canonicalize_name(name)): version for name, version in pins}


def test_it_agrees_with_the_constraints() -> None:
    lock = {name: entry.version for name, entry in read_lock(ROOT / "requirements.lock").items()}
    more = [name for name in lock if name not in declared()]
    assert all(name.startswith(OF_CUDA) or name == WITH_EVERY_PYTHON for name in more), more
    assert {name: version for name, version in lock.items() if name not in more} == declared()


def test_every_entry_has_a_digest() -> None:
    assert [name for name, entry in read_lock(ROOT / "requirements.lock").items() if not entry.sha256] == []


def test_it_names_no_place() -> None:
    text = ROOT.joinpath("requirements.lock").read_text(encoding="utf-8")
    assert [line for line in text.splitlines() if "://" in line or "index" in line or "find-links" in line] == []


def test_reading(tmp_path: Path) -> None:
    path = tmp_path / "requirements.lock"
    path.write_text(f"# a comment\nA_b==1.0 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{'1' * 64}\nc==2\n")
    assert read_lock(path) == {"a-b": Locked("1.0", ("0" * 64, "1" * 64)), "c": Locked("2", ())}


@pytest.mark.parametrize("line", ["a>=1", "--index-url x", "a==1 --hash=md5:0 x"])
def test_what_it_does_not_understand_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "requirements.lock"
    path.write_text(f"{line}\n")
    with pytest.raises(ValueError, match="expected name==version"):
        read_lock(path)
