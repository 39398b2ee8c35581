"""What is being written, beside its final place: ``.NAME.RANDOM.unfinished``, removed when its writer was killed.

A writer holds a lock on what it writes for as long as it lives, so whoever finds one unlocked may remove it.
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
"""Characters that :mod:`tempfile` puts into a name."""
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of the errors of a disk, or of a share of it, that is full."""
_UMASK = os.umask(0o077)
os.umask(_UMASK)  # Which cannot be read without being set, and not safely later, beside other threads.


def permitted(mode: int) -> int:
    """What the user's umask leaves of permissions: what is unfinished is nobody else's, and opened when it is done."""
    return mode & ~_UMASK


@contextlib.contextmanager
def unfinished_file(path: Path) -> Generator[tuple[int, Path]]:
    """Yield a descriptor and the name of a new file beside ``path``; what has the name in the end is removed.

    What killed writers of the same place left is removed first.
    """
    with _unfinished(path, lambda: tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_END)) as made:
        yield made


@contextlib.contextmanager
def unfinished_directory(path: Path) -> Generator[Path]:
    """Yield a new directory beside ``path``; what has its name in the end is removed.

    What killed writers of the same place left is removed first.
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
    """Whether a path leads into what is being written: it counts, and is safe on the disk, only as a whole."""
    return any(part.startswith(".") and part.endswith(_END) for part in path.parts)


def sweep(path: Path) -> None:
    """Remove what killed writers of ``path`` left beside it, and nothing that a living one holds."""
    for one in beside(path, _END):
        with contextlib.suppress(OSError):
            descriptor = os.open(one, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(one)
            finally:
                os.close(descriptor)


def beside(path: Path, end: str) -> list[Path]:
    """What lies beside ``path`` under its name with a dot before it, eight random characters and ``end`` after it."""
    start = f".{path.name}."
    size = len(start) + _RANDOM + len(end)
    try:
        names = os.listdir(path.parent)  # noqa: PTH208
    except OSError:
        return []
    found = [name for name in names if name.startswith(start) and name.endswith(end) and len(name) == size]
    return [path.parent / name for name in found]


def discard(path: Path) -> None:
    """Remove a directory in such a way that a kill leaves nothing half removed under its name."""
    with unfinished_directory(path) as bin_:
        path.rename(bin_)


def remove(path: Path) -> None:
    """Remove a file or a directory with everything in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def _unfinished(path: Path, make: Callable[[], tuple[int, str]]) -> Generator[tuple[int, Path]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not is_unfinished(path):
        sweep(path)
    descriptor, name = _held(make)
    try:
        yield descriptor, name
    except OSError as error:
        # Whoever writes to a descriptor is not told which file the disk has no room for.
        if error.filename is None and error.errno in NO_ROOM:
            error.filename = str(path)
        raise
    finally:
        remove(name)
        os.close(descriptor)


def _held(make: Callable[[], tuple[int, str]]) -> tuple[int, Path]:
    """Make one and lock it; again when another process swept it before it was locked."""
    while True:
        descriptor, name = make()
        # Where the file system knows no locks, nobody sweeps.
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), Path(name).stat()):
                return descriptor, Path(name)
        os.close(descriptor)
