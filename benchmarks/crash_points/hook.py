"""The audit hook: which events are writes below a folder, and the kill at one of them."""

from __future__ import annotations

import mmap
import os
import signal
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WRITING = os.O_WRONLY | os.O_RDWR
_NO_FOLDER = -1
_STATEMENTS = ("CREATE", "COMMIT")
# Of each event: positions of the path and of the folder that it is relative to.
_PLACES = {
    "os.rename": (1, 3),
    "os.link": (1, 3),
    "os.symlink": (1, 2),
    "os.mkdir": (0, 2),
    "os.chmod": (0, 2),
    "os.remove": (0, 1),
    "os.rmdir": (0, 1),
}


@dataclass(frozen=True)
class Write:
    """One write of a command.

    Attributes:
        event: The audit event.
        path: What is written, from the folder.
    """

    event: str
    path: str

    @property
    def has_content(self) -> bool:
        """True if a kill may leave half of it."""
        return self.event == "open"


@dataclass(frozen=True)
class Kill:
    """Where to end a command.

    Attributes:
        at: Number of the write, from 1.
        torn: True if it happens and half of its content stays; False if it does not happen any more.
    """

    at: int
    torn: bool = False


class Watch:
    """Counts the writes below a folder, over all processes forked after :meth:`begin`.

    Programs that are started have no hook: of them only the start counts.

    Args:
        folder: What is below counts.
        notes: A file elsewhere, for what was seen.
        kill: Where to end this process and the one that writes; None to count only.
    """

    def __init__(self, folder: Path, notes: Path, kill: Kill | None = None) -> None:
        self._folder, self._kill = f"{folder}/", kill
        self._count = mmap.mmap(-1, 8)
        self._notes = os.open(notes, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
        self._command = os.getpid()

    def begin(self) -> None:
        """Watch this process from now on."""
        sys.addaudithook(self._seen)
        sqlite3.connect = self._connected(sqlite3.connect)

    def _seen(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "subprocess.Popen":
            self._write(event, "")
        elif (path := _written(event, arguments)) and path.startswith(self._folder):
            self._write(event, path.removeprefix(self._folder))

    def _connected(self, connect: Any) -> Any:
        """A database's own writes raise no event: its statements that write count instead, rows as one."""

        def connected(*arguments: Any, **named: Any) -> sqlite3.Connection:
            connection = connect(*arguments, **named)
            connection.set_trace_callback(self._traced)
            return connection

        return connected

    def _traced(self, statement: str) -> None:
        if statement.startswith(_STATEMENTS):
            self._write("sqlite3", statement.partition("\n")[0])

    def _write(self, event: str, path: str) -> None:
        number = int.from_bytes(self._count[:8], "little") + 1
        self._count[:8] = number.to_bytes(8, "little")
        if self._kill and number == self._kill.at + self._kill.torn:
            if self._kill.torn:
                self._tear()
            for process in {self._command: None, os.getpid(): None}:
                os.kill(process, signal.SIGKILL)
        size = _size(self._folder + path) if event == "open" else 0
        os.write(self._notes, f"{event}\t{size}\t{path}\n".encode(errors="surrogateescape"))

    def _tear(self) -> None:
        """Take back half of what was written since the last write began."""
        event, before, path = _lines(os.pread(self._notes, 1 << 24, 0))[-1]
        place = self._folder + path
        if event == "open" and (size := _size(place)) > int(before):
            os.truncate(place, int(before) + (size - int(before)) // 2)


def writes_noted(notes: Path) -> list[Write]:
    """What a watch saw, in order."""
    return [Write(event, path) for event, _, path in _lines(notes.read_bytes())]


def _lines(data: bytes) -> list[list[str]]:
    return [line.split("\t", 2) for line in data.decode(errors="surrogateescape").splitlines()]


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - no event
    except OSError:
        return 0


def _written(event: str, arguments: tuple[Any, ...]) -> str:
    """The absolute path that an event writes; empty for one that changes nothing."""
    if event == "open":
        path, _, flags = arguments
        # Of a descriptor, the opening was told already.
        return _absolute(path, _NO_FOLDER) if flags & _WRITING and not isinstance(path, int) else ""
    if event == "os.truncate":
        return _absolute(arguments[0], _NO_FOLDER)
    if event in _PLACES:
        path, folder = (arguments[position] for position in _PLACES[event])
        place = _absolute(path, folder)
        in_vain = os.path.lexists(place) == (event == "os.mkdir")
        return "" if in_vain and event in ("os.mkdir", "os.remove", "os.rmdir") else place
    return ""


def _absolute(path: Any, folder: int) -> str:
    if isinstance(path, int):
        return os.readlink(f"/proc/self/fd/{path}")  # noqa: PTH115
    base = os.readlink(f"/proc/self/fd/{folder}") if folder != _NO_FOLDER else os.getcwd()  # noqa: PTH109, PTH115
    return os.path.normpath(os.path.join(base, os.fsdecode(path)))  # noqa: PTH118
