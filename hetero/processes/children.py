"""Start other programs: every process of ours begins here, and none finds code in the folder that the user is in.

What lies in the current folder may have come with a download. A child therefore works in another folder, an interpreter
does not look where it is started, and search paths that depend on the current folder do not go over.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import IO

from hetero.storage.scratch import scratch_folder

Command = Sequence[str | Path]
Stream = IO[bytes] | int | None

_TETHER = Path(__file__).with_name("tether.py")
_SEARCH_PATHS = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "NODE_PATH", "PERL5LIB")
_SAFE = {"PYTHONSAFEPATH": "1"}
_STARTING = threading.Lock()


@dataclass(frozen=True)
class Limits:
    """What a program that handles what others made may take.

    Attributes:
        memory_bytes: Of address space.
        processor_seconds: Of each of its processes.
        file_bytes: Of each file that it writes.
    """

    memory_bytes: int
    processor_seconds: int
    file_bytes: int


def python(*arguments: str | Path) -> list[str | Path]:
    """A command of this interpreter, which does not look for modules where it is started."""
    return [sys.executable, "-P", *arguments]


def environment(**added: str) -> dict[str, str]:
    """This process's variables without what names folders relative to the current one.

    Args:
        added: Take the place of those of the same name.
    """
    variables = {name: _absolute(value) if name in _SEARCH_PATHS else value for name, value in os.environ.items()}
    if "TMPDIR" in variables:
        variables["TMPDIR"] = str(Path(variables["TMPDIR"]).absolute())
    return {**variables, **added, **_SAFE}


def which(name: str) -> Path | None:
    """A program by its path, or in the absolute folders of PATH."""
    found = shutil.which(name, path=_absolute(os.environ.get("PATH", os.defpath)))
    return Path(found).absolute() if found else None


def run(
    command: Command,
    *,
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
    timeout: float | None = None,
    check: bool = False,
    inherited: Sequence[int] = (),
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, without an input.

    Args:
        command: With absolute paths.
        variables: The whole environment; by default :func:`environment`.
        folder: Where it works; by default a new one, removed afterwards.
        timeout: Seconds after which it is killed.
        check: Whether another status than 0 is an error.
        inherited: File descriptors that it keeps open.

    Raises:
        OSError: When it cannot be started.
        subprocess.SubprocessError: When it takes too long, or fails and ``check`` is set.
    """
    with scratch_folder("child") as private:
        return subprocess.run(
            command,
            cwd=folder or private,
            env=_safe(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=check,
            pass_fds=inherited,
        )


def start(
    command: Command,
    *,
    folder: Path,
    variables: Mapping[str, str] | None = None,
    stdin: Stream = subprocess.DEVNULL,
    stdout: Stream = None,
    stderr: Stream = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a process group of its own.

    Args:
        command: With absolute paths.
        folder: Where it works.
        variables: The whole environment; by default :func:`environment`.
        stdin: As of :class:`subprocess.Popen`, like the following.
        stdout: Its output.
        stderr: Its errors.
    """
    return subprocess.Popen(
        command,
        cwd=folder,
        env=_safe(variables),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


def tethered(
    command: Command,
    *,
    folder: Path,
    variables: Mapping[str, str] | None = None,
    stdout: Stream = None,
    stderr: Stream = None,
    reads: bool = False,
    limits: Limits | None = None,
    leaves: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program that ends with this process, however that ends, and when the standard input is closed.

    Args:
        command: With absolute paths.
        folder: Where it works.
        variables: The whole environment; by default :func:`environment`.
        stdout: As of :class:`subprocess.Popen`, like the following.
        stderr: Its errors.
        reads: Whether it reads the standard input, which is a pipe in any case.
        limits: What it may take; within them it also gets no new privileges, and no network where that can be had.
        leaves: A folder to remove when the input is closed, or this process has ended.
    """
    most = limits and {
        "AS": limits.memory_bytes,
        "CPU": limits.processor_seconds,
        "FSIZE": limits.file_bytes,
        "CORE": 0,
    }
    settings = json.dumps({"input": reads, "limits": most, "remove": str(leaves or "")})
    return start(
        python("-I", "-S", _TETHER, settings, *command),
        folder=folder,
        variables=variables,
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
    )


class _SpawnedProcess(SpawnProcess):
    def start(self) -> None:
        with _safe_variables():
            super().start()


class _Context(SpawnContext):
    Process = _SpawnedProcess


def spawn_context() -> SpawnContext:
    """Processes of this interpreter, started afresh so that no thread's state is copied."""
    with _safe_variables():
        resource_tracker.ensure_running()
    return _Context()


@contextlib.contextmanager
def _safe_variables() -> Generator[None]:
    """Let this process's variables be safe while it starts a ``python -c``, which looks in the current folder first."""
    # One at a time: a second start must not find the variables safe that the first is about to restore.
    with _STARTING:
        safe = {name: value for name, value in environment().items() if os.environ.get(name) != value}
        before = {name: os.environ.get(name) for name in safe}
        os.environ.update(safe)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value


class Terminated(SystemExit):
    """This process was told to end by a signal."""


@contextlib.contextmanager
def ended_in_order() -> Generator[None]:
    """End what a block started when this process is told to end: SIGTERM leaves it like an exception.

    In another thread than the main one, which alone may say what a signal does, nothing changes.
    """

    def leave(number: int, _frame: object) -> None:
        raise Terminated(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _safe(variables: Mapping[str, str] | None) -> dict[str, str]:
    return environment() if variables is None else {**variables, **_SAFE}


def _absolute(folders: str) -> str:
    return os.pathsep.join(folder for folder in folders.split(os.pathsep) if Path(folder).is_absolute())
