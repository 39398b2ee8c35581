"""Every reader of foreign bytes: sound files are read, changed ones are read or refused, and nothing else happens."""

from __future__ import annotations

import random
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.hostile_inputs.changes import change_bytes
from hetero.errors import InputError
from hetero.processes import children
from tests.fuzz.targets import TARGETS, Target

ROOT = Path(__file__).parents[2]
REFUSED = {("npy", "archive"), ("gallery", "brain float"), ("adapter", "brain float")}


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow says what it passes over.
@pytest.mark.parametrize("name", TARGETS)
def test_sound_files_are_read_and_changed_ones_read_or_refused(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    target.prepare(tmp_path)
    for seed, data in target.seeds().items():
        assert target.one(tmp_path, data) == ((name, seed) not in REFUSED), seed
        for number in range(20):
            target.one(tmp_path, change_bytes(data, random.Random(number)))


def test_any_other_error_is_a_finding(tmp_path: Path) -> None:
    def read(path: Path) -> None:
        if path.read_bytes() == b"refuse":
            raise InputError("refused")
        raise KeyError(path.name)

    target = Target("file", lambda _folder: None, read, dict)
    assert not target.one(tmp_path, b"refuse")
    with pytest.raises(KeyError):
        target.one(tmp_path, b"")


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this machine")
def test_a_short_run_guided_by_coverage_finds_nothing(tmp_path: Path) -> None:
    command = children.python("-m", "benchmarks.fuzz", "--seconds", "2", "--inputs", "100", "--corpus", tmp_path)
    done = children.run(command, variables=children.environment(PYTHONPATH=str(ROOT)), folder=ROOT, timeout=300.0)
    assert done.returncode == 0, done.stdout
    told = {line[:16].strip(): line for line in done.stdout.splitlines()}
    assert set(told) == set(TARGETS)
    for line in told.values():
        inputs, reached = map(int, re.findall(r"([\d,]+) (?:inputs|places)", line.replace(",", "")))
        assert inputs >= 20 and reached >= 10, line
