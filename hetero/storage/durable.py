"""Waiting until written data are on the disk, so that a power cut loses no completed work."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path


def sync_tree(folder: Path) -> None:
    """Wait until ``folder`` and every file and directory below it are on the disk."""
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
