"""A lock that admits one process at a time to a directory."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Generator
from pathlib import Path

from hetero.errors import InputError
from hetero.processes.launch import require_one_process
from hetero.processes.ranks import on_first_rank


@contextlib.contextmanager
def locked(root: Path, *, shared: bool = False) -> Generator[None]:
    """Hold the run's lock, so that two processes do not work on one run.

    Args:
        root: The directory.
        shared: True if processes that ``torchrun`` started work on it together: rank 0 holds the lock for all.

    Raises:
        InputError: When another process holds it, or ``torchrun`` started several and the work is not shared.
    """
    if not shared:
        require_one_process(f"{root} takes one process at a time")
    with contextlib.ExitStack() as stack:
        on_first_rank(lambda: stack.enter_context(_held(root)))
        yield


@contextlib.contextmanager
def _held(root: Path) -> Generator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another process is working on {root}; wait for it to end, or choose another --out"
            ) from None
        yield
