"""A lock that admits one process at a time to a directory."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Generator
from pathlib import Path

from hetero.errors import InputError
from hetero.processes.launch import require_one_process_for_commands


@contextlib.contextmanager
def locked(root: Path) -> Generator[None]:
    """Hold the run's lock, so that two processes do not work on one run.

    Raises:
        InputError: When another process holds it, or ``torchrun`` started several.
    """
    require_one_process_for_commands()
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another process is working on {root}; wait for it to end, or choose another --out"
            ) from None
        yield
