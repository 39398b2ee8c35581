"""Kills at each write: what SQLite does to itself. The action runs in a forked child, so only the kill is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.crash_points.hook import Kill, Watch
from benchmarks.crash_points.processes import leave_after


def kills(root: Path, action: Callable[[], object], *, before: Callable[[], object]) -> Iterator[int]:
    """Yield after each kill -9 of ``action``: at its first write below ``root``, its second, until one run is whole."""
    number = 0
    while True:
        number += 1
        before()
        if not _killed(root, action, number):
            return
        yield number


def _killed(root: Path, action: Callable[[], object], number: int) -> bool:
    def watched() -> None:
        Watch(root, Path(os.devnull), Kill(number)).begin()
        action()

    child = os.fork()
    if child == 0:
        leave_after(watched)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), "the action failed of itself"
    return status == signal.SIGKILL
