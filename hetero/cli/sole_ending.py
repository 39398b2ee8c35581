"""One message and one exit status for all the processes that ``torchrun`` started."""

from __future__ import annotations

import signal

from hetero.processes.board import end_of_run
from hetero.processes.launch import own_rank, processes

_AFTER_FIRST = 2.0
"""Seconds in which rank 0 may say how the run ended before another rank does."""


def sole_ending(message: str, code: int) -> tuple[str, int]:
    """Return what this process has to say at its end, and its exit status: the first to say something speaks for all.

    Of an error that all ranks have, rank 0 tells. The others end without a message, with the same status.
    """
    if processes() == 1:
        return message, code
    # torchrun ends the others as soon as one has ended.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    rank = own_rank()
    try:
        status = end_of_run(code, after=_AFTER_FIRST if rank else 0.0)
    except Exception:  # the board is gone with the machine that held it
        status = None
    if status is not None:
        return "", status
    return f"process {rank} of {processes()}: {message}" if rank else message, code
