"""Checks for work that several processes under ``torchrun`` cannot share."""

from __future__ import annotations

import os

from hetero.errors import InputError


def require_one_process(what: str) -> None:
    """Refuse work that several processes cannot do together.

    Args:
        what: Message that names the work, and the reason or an alternative.

    Raises:
        InputError: When ``torchrun`` started more than one process.
    """
    if (count := int(os.environ.get("WORLD_SIZE", "1"))) > 1:
        raise InputError(f"{what}; torchrun started {count} processes: start one, without it")


def require_one_process_for_commands() -> None:
    """Refuse a command that trains; see :func:`require_one_process`."""
    require_one_process(
        "commands run in one process; what several can share are the functions train_cloud, train_student and "
        "train_upgrade"
    )
