"""Temporary folders that nothing outlives: what a killed process left is removed by the next that needs one."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Generator
from pathlib import Path

from hetero.unfinished import unfinished_directory


@contextlib.contextmanager
def scratch_folder(kind: str) -> Generator[Path]:
    """A new folder, private to this user, which is gone after the block.

    Args:
        kind: A word in its name; folders of the same kind that nobody uses any more are removed.
    """
    with unfinished_directory(Path(tempfile.gettempdir()) / f"hetero-{kind}") as folder:
        yield folder
