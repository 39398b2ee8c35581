"""Atomic replacement of directories: a kill loses neither the old nor the new, and a reader never sees a mixture.

Linux exchanges two directories in one step. Elsewhere the old one is set aside for a moment; if the process is killed
in that moment, the next reader or writer puts it back.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TypeVar

from hetero.storage.durable import sync, sync_tree
from hetero.storage.unfinished import beside, permitted, remove, unfinished_directory

_Read = TypeVar("_Read")
_ASIDE = ".set-aside"
_HERE, _EXCHANGE = -100, 2
"""Linux's ``AT_FDCWD`` and ``RENAME_EXCHANGE``."""


def is_replaceable(path: Path, record: str) -> bool:
    """Return True if nothing is lost at a path: it is free, an empty directory, or one that holds our record.

    Args:
        path: The path.
        record: Name of the file that every directory of this kind has.
    """
    return not path.exists() or (path.is_dir() and ((path / record).is_file() or not any(path.iterdir())))


@contextlib.contextmanager
def replaced_directory(path: Path, *, keep: bool = False) -> Generator[Path]:
    """Yield a directory that takes ``path``'s place when the block succeeds.

    On any error the new directory is removed and the old one stays at ``path``.

    Args:
        path: The final path.
        keep: True to start the new directory with the files at ``path``. They may be replaced or removed, but not
            written into.
    """
    recovered(path)
    with unfinished_directory(path) as fresh:
        fresh.chmod(permitted(0o755))
        if keep and path.is_dir():
            link_tree(path, fresh)
        yield fresh
        swap_directory(fresh, path)


def link_tree(folder: Path, target: Path) -> None:
    """Give the files below a folder second names below another: no copies, where the file system has hard links."""
    shutil.copytree(folder, target, symlinks=True, copy_function=_linked, dirs_exist_ok=True)


def swap_directory(fresh: Path, path: Path) -> None:
    """Put a directory at ``path``, safely on the disk; the old one is at ``fresh`` afterwards, or removed."""
    sync_tree(fresh)
    while True:
        try:
            fresh.rename(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        else:
            break
        # Another process may have moved it in the meantime.
        with contextlib.suppress(FileNotFoundError):
            if _exchanged(fresh, path):
                break
            path.rename(path.with_name(f".{path.name}.{secrets.token_hex(4)}{_ASIDE}"))
    for parent in {fresh.parent, path.parent}:
        sync(parent)
    recovered(path)


def steadily(path: Path, read: Callable[[Path], _Read]) -> _Read:
    """Read a directory that another process may replace at the same time: either all of the old one or of the new.

    Args:
        path: The directory.
        read: Reads the directory; called again until the directory stayed in place.

    Returns:
        The result of ``read``.

    Raises:
        Exception: The exception that ``read`` raised for a directory that stayed in place.
    """
    while True:
        try:
            # Kept open, so that no other directory gets its inode number in the meantime.
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            if recovered(path):
                continue
            return read(path)
        except OSError:
            return read(path)
        try:
            result = read(path)
        except Exception:
            if _stands(descriptor, path):
                raise
        else:
            if _stands(descriptor, path):
                return result
        finally:
            os.close(descriptor)


def recovered(path: Path) -> bool:
    """Put back what a killed writer set aside, if nothing is at ``path``; return True if ``path`` then exists."""
    # Listed before the path is checked: if the path then exists, everything listed has been replaced.
    aside = beside(path, _ASIDE)
    if path.exists():
        for old in aside:
            remove(old)
        return True
    for old in aside:
        with contextlib.suppress(OSError):
            old.rename(path)
    return path.exists()


def _exchanged(first: Path, second: Path) -> bool:
    """Exchange two paths in one step; False where the system or the file system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    # Audit hooks that watch writes see renames, but not a call through ctypes.
    sys.audit("os.rename", str(first), str(second), -1, -1)
    if rename(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(first), None, str(second))


def _stands(descriptor: int, path: Path) -> bool:
    """Return True if ``path`` is still the directory that was opened."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _linked(source: str, target: str) -> None:
    """Give a file a second name; copy it where the file system has no hard links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
