"""Temporary folders that are always removed: those of a killed process by the next command."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Generator
from pathlib import Path

from hetero.storage.unfinished import sweep, unfinished_directory

_PREFIX = "hetero-"


@contextlib.contextmanager
def scratch_folder(kind: str) -> Generator[Path]:
    """Yield a new folder, private to this user, which is removed after the block.

    Args:
        kind: A word in its name; unused folders of the same kind are removed first.
    """
    with unfinished_directory(_temporary() / f"{_PREFIX}{kind}") as folder:
        yield folder


def sweep_scratch() -> None:
    """Remove unused scratch folders of every kind, because the next command may need none itself."""
    with contextlib.suppress(OSError):
        folder = _temporary()
        for name in {place.name.split(".")[1] for place in folder.glob(f".{_PREFIX}*.unfinished")}:
            sweep(folder / name)


def _temporary() -> Path:
    """Return the folder for temporary files, without the test file of :mod:`tempfile`, which a kill would leave."""
    for place in (os.environ.get("TMPDIR", ""), "/tmp"):
        if tempfile.tempdir is None and Path(place).is_absolute() and os.access(place, os.W_OK | os.X_OK):
            tempfile.tempdir = place
    return Path(tempfile.gettempdir())
