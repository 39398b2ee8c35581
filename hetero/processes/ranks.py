"""The processes that work together (ranks), and how they agree. Nothing here loads torch in a single process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, TypeVar

from hetero.errors import InputError
from hetero.processes.board import announce, await_event
from hetero.processes.launch import processes
from hetero.processes.sendable import sendable

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

T = TypeVar("T")

_turns = count()
_alone = False
"""True while this is rank 0 and the others wait for it."""


def ranks() -> int:
    """Count the processes that work together; 1 until a run has connected them, and while rank 0 works alone."""
    if not _connected() or _alone:
        return 1
    import torch.distributed as dist

    return dist.get_world_size()


def rank() -> int:
    """Return this process's number among them."""
    if not _connected():
        return 0
    import torch.distributed as dist

    return dist.get_rank()


def on_first_rank(work: Callable[[], T]) -> T:
    """Call a function on rank 0 alone, and give every rank its outcome; no rank continues before it has finished.

    The others wait without a time limit. Inside ``work`` rank 0 is a process by itself.

    Args:
        work: Reads, writes or judges; its result can be pickled.

    Returns:
        The result, on every rank.

    Raises:
        Exception: The exception that ``work`` raised, on every rank.
    """
    if ranks() == 1:
        return work()
    import torch.distributed as dist

    outcome: list[tuple[T | None, Exception | None] | None] = [None]
    event = f"turn/{next(_turns)}"
    if rank() == 0:
        outcome = [_outcome(work)]
        announce(event)
    else:
        await_event(event)
    dist.broadcast_object_list(outcome, src=0, group=_group())
    assert outcome[0] is not None
    result, error = outcome[0]
    if error is not None:
        raise error
    return result  # pyright: ignore[reportReturnType]


def first_rank_first(work: Callable[[], T]) -> T:
    """Call a function on rank 0 and then on the others, which find what rank 0 left in a cache.

    Raises:
        Exception: The exception that ``work`` raised on rank 0, on every rank; or on this one.
    """
    results: list[T] = []
    on_first_rank(lambda: results.append(work()))
    return results[0] if results else work()


def require_agreement(value: str, what: str) -> None:
    """Refuse to go on when the ranks differ in something that has to be the same for all of them.

    Args:
        value: This rank's.
        what: Message that says what has to be the same, and why it may not be.

    Raises:
        InputError: On every rank, with the numbers of those that differ from rank 0.
    """
    if ranks() == 1:
        return
    import torch.distributed as dist

    values = [""] * ranks()
    dist.all_gather_object(values, value, group=_group())
    if others := [str(number) for number, other in enumerate(values) if other != values[0]]:
        raise InputError(f"{what}: process 0 differs from {', '.join(others)}")


def _outcome(work: Callable[[], T]) -> tuple[T | None, Exception | None]:
    global _alone  # noqa: PLW0603
    _alone = True
    try:
        return work(), None
    except Exception as error:  # raised by on_first_rank, on every rank
        return None, sendable(error)
    finally:
        _alone = False


def _connected() -> bool:
    if processes() == 1 or "torch.distributed" not in sys.modules:
        return False
    import torch.distributed as dist

    return dist.is_available() and dist.is_initialized()


@cache
def _group() -> ProcessGroup | None:
    """Return the group that exchanges objects: on the CPU, whatever the training computes on."""
    import torch.distributed as dist

    return None if dist.get_backend() == "gloo" else dist.new_group(backend="gloo")  # pyright: ignore[reportReturnType]
