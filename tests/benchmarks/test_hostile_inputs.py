"""The count of what hostile inputs do: each kind of failure is seen, and a few inputs of each kind cause none."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from benchmarks.hostile_inputs.__main__ import KINDS, Kind
from benchmarks.hostile_inputs.trial import Answer, Attempt, try_inputs
from hetero.errors import InputError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux only")


def do(number: int) -> tuple[Answer, str]:
    """Every second input does no harm."""
    if number == 1:
        raise KeyError("a fault")
    if number == 3:
        os.abort()
    if number == 5:
        time.sleep(60)
    if number == 7:
        return "wrong", "it passed"
    if number == 9:
        subprocess.Popen(["sleep", "60"], start_new_session=True)
    if number == 11:
        raise MemoryError
    if number == 13:
        raise OSError(2, "No such file", "x")
    if number == 15:
        raise InputError("refused")
    return "right", ""


def test_every_failure_is_counted_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def start(_folder: Path) -> Generator[Attempt]:
        yield do

    monkeypatch.setattr("benchmarks.hostile_inputs.trial._TO_END_SECONDS", 0.5)
    count = try_inputs(start, range(17), tmp_path, limit_seconds=1)
    assert (count.inputs, count.answers) == (17, {"refused": 2, "right": 10, "wrong": 1})
    assert (count.crashes, count.tracebacks, count.hangs, count.orphans) == (2, 1, 1, 1)
    assert [int(finding.partition(":")[0]) for finding in count.findings] == [1, 3, 5, 7, 11]
    assert "KeyError: 'a fault'" in count.findings[0]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_few_inputs_of_each_kind(kind: Kind, tmp_path: Path) -> None:
    count = try_inputs(kind.start, range(8), tmp_path, kind.limit_seconds)
    assert count.inputs == 8 and not count.findings and not count.orphans
    assert count.answers["refused"] > 0
