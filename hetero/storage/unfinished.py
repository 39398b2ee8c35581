"""Unfinished files and directories beside their final place: ``.NAME.RANDOM.unfinished``, removed after a kill.

A writer locks its unfinished file or directory for as long as it lives, so any process may remove an unlocked one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

_END = ".unfinished"
_RANDOM = 8
"""Number of random characters in a name by :mod:`tempfile`."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a full disk or quota."""
_UMASK = os.umask(0o077)
os.umask(_UMASK)  # it cannot be read without being set, which later would not be safe beside other threads


def permitted(mode: int) -> int:
    """Apply the user's umask to permissions, which unfinished data get only when they are finished."""
    return mode & ~_UMASK


@contextlib.contextmanager
def unfinished_file(path: Path) -> Generator[tuple[int, Path]]:
    """Yield a descriptor and the name of a new file beside ``path``; whatever has that name afterwards is removed.

    The remains of killed writers of the same place are removed first.
    """
    with _unfinished(path, lambda: tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_END)) as opened:
        yield opened


@contextlib.contextmanager
def unfinished_directory(path: Path) -> Generator[Path]:
    """Yield a new directory beside ``path``; whatever has its name afterwards is removed.

    The remains of killed writers of the same place are removed first.
    """

    def make() -> tuple[int, str]:
        while True:
            name = tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=_END)
            # Another process may have swept it already.
            with contextlib.suppress(FileNotFoundError):
                return os.open(name, os.O_RDONLY), name

    with _unfinished(path, make) as (_, name):
        yield name


def is_unfinished(path: Path) -> bool:
    """Return True if a path leads into an unfinished directory, which is made durable only as a whole."""
    return any(part.startswith(".") and part.endswith(_END) for part in path.parts)


def sweep(path: Path) -> None:
    """Remove what killed writers of ``path`` left beside it, but nothing that a living one has locked."""
    for place in beside(path, _END):
        with contextlib.suppress(OSError):
            descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(place)
            finally:
                os.close(descriptor)


def beside(path: Path, end: str) -> list[Path]:
    """List entries beside ``path`` named by a dot, its name, eight random characters and ``end``."""
    start = f".{path.name}."
    size = len(start) + _RANDOM + len(end)
    try:
        names = os.listdir(path.parent)  # noqa: PTH208
    except OSError:
        return []
    own = [name for name in names if name.startswith(start) and name.endswith(end) and len(name) == size]
    return [path.parent / name for name in own]


def discard(path: Path) -> None:
    """Remove a directory so that a kill never leaves a partial one under its name."""
    with unfinished_directory(path) as bin_:
        path.rename(bin_)


def remove(path: Path) -> None:
    """Remove a file or a directory with everything in it, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _unfinished(path: Path, make: Callable[[], tuple[int, str]]) -> Generator[tuple[int, Path]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not is_unfinished(path):
        sweep(path)
    descriptor, name = _locked(make)
    try:
        yield descriptor, name
    except OSError as error:
        # An error from writing to a descriptor does not name the file that found the disk full.
        if error.filename is None and error.errno in NO_ROOM:
            error.filename = str(path)
        raise
    finally:
        remove(name)
        os.close(descriptor)


def _locked(make: Callable[[], tuple[int, str]]) -> tuple[int, Path]:
    """Create and lock a file or directory; repeat if another process swept it before it was locked."""
    while True:
        descriptor, name = make()
        # On a file system without locks, no process sweeps.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), Path(name).stat()):
                return descriptor, Path(name)
        os.close(descriptor)
