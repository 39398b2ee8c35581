"""Temporary folders that nothing outlives: what a killed process left is removed by the next that needs one."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

_LOCK = ".lock"


@contextlib.contextmanager
def scratch_folder(kind: str) -> Generator[Path]:
    """A new folder, private to this user, which is gone after the block.

    Args:
        kind: A word in its name; folders of the same kind that nobody uses any more are removed.
    """
    prefix = f"hetero-{kind}-"
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        unlocked = Path(name) / f"{_LOCK}.new"
        with unlocked.open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            unlocked.rename(Path(name) / _LOCK)  # Only now may others look whether it is held.
            _sweep(Path(name).parent, prefix)
            yield Path(name)


def _sweep(parent: Path, prefix: str) -> None:
    for lock in parent.glob(f"{prefix}*/{_LOCK}"):
        # Held locks, and folders of other users, are none of ours.
        with contextlib.suppress(OSError), lock.open("r+") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
