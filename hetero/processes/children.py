"""The start of other programs: every process is started here, and none finds code in the user's current folder.

Files in the current folder may have come with a download. A child therefore works in another folder, an interpreter
does not import from its starting folder, and search paths that depend on the current folder are not passed on.
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
    """The limits on a program that handles foreign files.

    Attributes:
        memory_bytes: Bytes of address space.
        processor_seconds: Processor time of each of its processes.
        file_bytes: Size of each file that it writes.
    """

    memory_bytes: int
    processor_seconds: int
    file_bytes: int


def python(*arguments: str | Path) -> list[str | Path]:
    """Return a command of this interpreter that does not import from its starting folder."""
    return [sys.executable, "-P", *arguments]


def environment(**added: str) -> dict[str, str]:
    """Return this process's variables without relative folders in them.

    Args:
        added: Further variables, which replace those of the same name.
    """
    variables = {name: _absolute(value) if name in _SEARCH_PATHS else value for name, value in os.environ.items()}
    if "TMPDIR" in variables:
        variables["TMPDIR"] = str(Path(variables["TMPDIR"]).absolute())
    return {**variables, **added, **_SAFE}


def which(name: str) -> Path | None:
    """Find a program by its path, or in the absolute folders of PATH."""
    path = shutil.which(name, path=_absolute(os.environ.get("PATH", os.defpath)))
    return Path(path).absolute() if path else None


def run(
    command: Command,
    *,
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
    timeout: float | None = None,
    check: bool = False,
    inherited: Sequence[int] = (),
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, without input.

    Args:
        command: The command, with absolute paths.
        variables: The whole environment; by default :func:`environment`.
        folder: Working folder; by default a new one, removed afterwards.
        timeout: Seconds after which it is killed.
        check: True if another status than 0 is an error.
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
    """Start a program in its own process group.

    Args:
        command: The command, with absolute paths.
        folder: Working folder.
        variables: The whole environment; by default :func:`environment`.
        stdin: Standard input, as for :class:`subprocess.Popen`, like the following.
        stdout: Standard output.
        stderr: Standard error.
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
    """Start a program that ends when this process ends, in whatever way, or when its standard input is closed.

    Args:
        command: The command, with absolute paths.
        folder: Working folder.
        variables: The whole environment; by default :func:`environment`.
        stdout: Standard output, as for :class:`subprocess.Popen`, like the following.
        stderr: Standard error.
        reads: True if it reads the standard input, which is a pipe in any case.
        limits: Limits on its resources; they also deny it new privileges, and the network where possible.
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
    """Return a context for processes of this interpreter, started afresh so that no thread's state is copied."""
    with _safe_variables():
        resource_tracker.ensure_running()
    return _Context()


@contextlib.contextmanager
def _safe_variables() -> Generator[None]:
    """Make this process's variables safe while it starts a ``python -c``, which imports from the current folder."""
    # One at a time, because a second start must not take for original the variables that the first will restore.
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
    """The exit of this process after a signal to end."""


@contextlib.contextmanager
def ended_in_order() -> Generator[None]:
    """Let a block clean up when this process is told to end: SIGTERM leaves it like an exception.

    In another thread than the main one, which alone may set signal handlers, nothing changes.
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
