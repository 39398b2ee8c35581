"""Temporary folders that nothing outlives: what a killed process left is removed by the next command."""

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
    """A new folder, private to this user, which is gone after the block.

    Args:
        kind: A word in its name; folders of the same kind that nobody uses any more are removed.
    """
    with unfinished_directory(_temporary() / f"{_PREFIX}{kind}") as folder:
        yield folder


def sweep_scratch() -> None:
    """Remove the scratch folders of every kind that nobody uses any more: the next command may need none itself."""
    with contextlib.suppress(OSError):
        folder = _temporary()
        for name in {one.name.split(".")[1] for one in folder.glob(f".{_PREFIX}*.unfinished")}:
            sweep(folder / name)


def _temporary() -> Path:
    """The folder for temporary files, found without the file that :mod:`tempfile` tries it with: a kill leaves that."""
    for place in (os.environ.get("TMPDIR", ""), "/tmp"):
        if tempfile.tempdir is None and Path(place).is_absolute() and os.access(place, os.W_OK | os.X_OK):
            tempfile.tempdir = place
    return Path(tempfile.gettempdir())
