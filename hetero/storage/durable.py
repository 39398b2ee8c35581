"""Waiting until what was written is on the disk, so that a power cut loses nothing that was said to be done."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path


def sync_tree(folder: Path) -> None:
    """Wait until every file and directory below ``folder``, and itself, is on the disk."""
    for place, _, files in os.walk(folder):
        for name in files:
            file = Path(place, name)
            if file.is_file() and not file.is_symlink():
                sync(file)
        sync(Path(place))


def sync(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk."""
    with contextlib.suppress(PermissionError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            # Some network file systems cannot do it for directories.
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(descriptor)
