"""A command in a process of its own, which ends with everything that it started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.crash_points.case import Action, Place
from benchmarks.crash_points.hook import Kill, Watch
from benchmarks.crash_points.processes import leave_after

_ADOPTS_ORPHANS = 36
"""``PR_SET_CHILD_SUBREAPER`` of ``<linux/prctl.h>``."""
_PATIENCE = 20.0
"""Seconds in which what a killed command started has to end."""
_SHOWN = 2000


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        status: Its exit status; negative for a signal.
        orphans: Processes that did not end with it.
        notes: What the watch saw.
        log: What it printed.
    """

    status: int
    orphans: tuple[int, ...]
    notes: Path
    log: Path

    def said(self) -> str:
        """Its last words."""
        return self.log.read_text(errors="replace")[-_SHOWN:]


def run_in_process(action: Action, place: Place, kill: Kill | None = None) -> Ended:
    """Run an action in a fork, and wait until everything that it started has ended."""
    log, notes = place.given.with_name("log"), place.given.with_name("notes")
    read, write = os.pipe()

    def command() -> None:
        _in_place(place, log)
        watch = Watch(place.state, notes, kill)
        watch.begin()
        action(place)

    def keeper() -> None:
        os.close(read)
        status, orphans = _kept(command)
        os.write(write, " ".join(map(str, (status, *orphans))).encode())

    child = _fork(keeper)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        status, *orphans = map(int, stream.read().split())
    os.waitpid(child, 0)
    return Ended(status, tuple(orphans), notes, log)


def _kept(command: Callable[[], None]) -> tuple[int, list[int]]:
    """The status of a function in a fork, and what outlived it for long."""
    ctypes.CDLL(None).prctl(_ADOPTS_ORPHANS, 1, 0, 0, 0)
    child = _fork(command)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    deadline = time.monotonic() + _PATIENCE
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(0.005)
    return status, _ended(_children())


def _children() -> list[int]:
    with contextlib.suppress(OSError):
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    return []


def _ended(processes: list[int]) -> list[int]:
    for one in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    return processes


def _fork(main: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        leave_after(main)
    return child


def _in_place(place: Place, log: Path) -> None:
    """Let this process print into a file, and keep what it keeps in the place's state."""
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.environ.update(
        HETERO_CACHE=str(place.state / "cache"),
        XDG_CONFIG_HOME=str(place.state / "config"),
        TMPDIR=str(place.state / "temporary"),
    )
    tempfile.tempdir = None
    os.chdir(place.given)
