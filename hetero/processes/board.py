"""A board on which the processes of a run leave notes for each other, beside their training.

Collectives of a process group have a time limit, occupy a GPU while they wait, and let no signal through. A look at the
board has none of these, so that a process can wait for hours while another one exports or verifies.
"""

from __future__ import annotations

import os
import time
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.distributed import Store  # pyright: ignore[reportPrivateImportUsage]

_SHORTEST, _LONGEST = 0.001, 0.2
"""Seconds between two looks; the wait grows from one to the other."""
_ANSWER = timedelta(seconds=30)
_END = "end"


class EndedElsewhere(SystemExit):
    """The exit of this process after another one has said how the run ended."""


def announce(event: str) -> None:
    """Note that something has happened."""
    _store().set(event, "")


def await_event(event: str) -> None:
    """Wait for an event, however long it takes.

    Raises:
        EndedElsewhere: When the run has ended instead.
    """
    store, pause = _store(), _SHORTEST
    while not store.check([event]):
        if (status := _ended(store)) is not None:
            raise EndedElsewhere(status)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST)


def end_of_run(status: int, *, after: float = 0.0) -> int | None:
    """Say that the run ends with a status, unless another process has said so; return what that one said.

    Args:
        status: Exit status.
        after: Seconds to wait for another process first.
    """
    store, deadline = _store(), time.monotonic() + after
    while time.monotonic() < deadline and _ended(store) is None:
        time.sleep(_SHORTEST)
    if store.add(f"{_END}/count", 1) == 1:
        store.set(_END, str(status))
        return None
    store.wait([_END])
    return _ended(store)


def _ended(store: Store) -> int | None:
    return int(store.get(_END)) if store.check([_END]) else None


@cache
def _store() -> Store:
    """Connect to the store through which ``torchrun`` introduces the processes to each other."""
    from torch.distributed import PrefixStore, TCPStore  # pyright: ignore[reportPrivateImportUsage]

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(address, port, is_master=False, wait_for_workers=False, timeout=_ANSWER)
    run, attempt = (os.environ.get(f"TORCHELASTIC_{name}", "") for name in ("RUN_ID", "RESTART_COUNT"))
    return PrefixStore(f"hetero/{run}/{attempt}", store)
