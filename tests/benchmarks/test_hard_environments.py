"""What the table of hard environments calls wrong."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.every_command import ARGUMENTS
from benchmarks.hard_environments import COMMANDS, Row, table, wrong


def done(status: int, errors: str) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], status, "", errors)


def test_every_command_is_one() -> None:
    assert set(COMMANDS) <= set(ARGUMENTS)


@pytest.mark.parametrize(
    ("status", "errors", "usual"), [(0, "", None), (1, "", 1), (3, "", None), (2, "hetero: no room", 0)]
)
def test_the_same_end_and_a_message_are_right(status: int, errors: str, usual: int | None) -> None:
    assert wrong(done(status, errors), usual, []) == []


@pytest.mark.parametrize(
    ("status", "errors", "usual", "left"),
    [
        (1, "hetero: no room", 0, []),
        (70, "hetero: Traceback (most recent call last):", 0, []),
        (-9, "", 0, []),
        (2, "", 0, []),
        (2, "hetero: no room", 0, [Path("half")]),
    ],
)
def test_anything_else_is_wrong(status: int, errors: str, usual: int, left: list[Path]) -> None:
    assert wrong(done(status, errors), usual, [str(path) for path in left])


def test_the_table() -> None:
    rows = [Row("full", "run", 2, "hetero: no room"), Row("full", "embed", 0, ""), Row("dark", "run", 0, "")]
    assert table(rows).splitlines()[2:] == ["| full | 1 | 1 | no room |", "| dark | 1 | 0 |  |"]
