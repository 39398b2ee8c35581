"""The processes that ``torchrun`` started, as its variables describe them."""

from __future__ import annotations

import os

from hetero.errors import InputError

_OWN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE")


def processes() -> int:
    """Count the processes that ``torchrun`` started on all machines; 1 without it."""
    return _number("WORLD_SIZE", 1)


def processes_here() -> int:
    """Count those on this machine."""
    return _number("LOCAL_WORLD_SIZE", 1)


def machines() -> int:
    """Count the machines (for ``torchrun``, its nodes)."""
    return _number("GROUP_WORLD_SIZE", 1)


def own_rank() -> int:
    """Return this process's number among all of them."""
    return _number("RANK", 0)


def forget_launch() -> None:
    """Make this process one by itself: what a single rank starts for its own work is no rank."""
    for name in _OWN:
        os.environ.pop(name, None)


def require_one_process(what: str) -> None:
    """Refuse work that several processes cannot do together.

    Args:
        what: Message that names the work, and the reason or an alternative.

    Raises:
        InputError: When ``torchrun`` started more than one process.
    """
    if (count := processes()) > 1:
        raise InputError(f"{what}; torchrun started {count} processes: start one, without it")


def _number(name: str, otherwise: int) -> int:
    return int(os.environ.get(name) or otherwise)
