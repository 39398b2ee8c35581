"""Folders in the cache that are created once."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

from hetero.storage.directories import replaced_directory
from hetero.storage.unfinished import sweep


def made_once(directory: Path, is_whole: Callable[[Path], bool], make: Callable[[Path], None]) -> Path:
    """Create a folder unless it exists already.

    Processes that need the same folder wait for the first one (a data set prepared by every rank of one training),
    and the remains of a killed process are removed.

    Args:
        directory: The folder.
        is_whole: Returns True if the folder exists and is usable.
        make: Fills an empty folder, which then replaces the folder.

    Returns:
        ``directory``.
    """
    sweep(directory)
    if is_whole(directory):
        return directory
    directory.parent.mkdir(parents=True, exist_ok=True)
    with (directory.parent / f"{directory.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_whole(directory):
            with replaced_directory(directory) as fresh:
                make(fresh)
    return directory
