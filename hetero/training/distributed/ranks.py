"""The processes that train one model together, as ``torchrun`` starts them, and how they agree."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from hetero.training.config import TrainingConfig
from hetero.training.loop.precision import require_precision

T = TypeVar("T")

# Rank 0 validates and writes while the others wait for it. A rank that dies is noticed by torchrun, not by this limit.
_PATIENCE = timedelta(hours=6)


def ranks() -> int:
    """Count the processes that train together; 1 until a run has connected them."""
    return dist.get_world_size() if _connected() else 1


def rank() -> int:
    """Return this process's number among them."""
    return dist.get_rank() if _connected() else 0


def connect(config: TrainingConfig) -> Fabric:
    """Connect the processes that ``torchrun`` started, or set up a single one.

    Raises:
        InputError: When the machine cannot compute in the configured precision.
    """
    require_precision(config)
    processes, nodes = (int(os.environ.get(name, "1")) for name in ("LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE"))
    strategy = DDPStrategy(timeout=_PATIENCE) if processes * nodes > 1 else "auto"
    fabric = Fabric(
        devices=processes, num_nodes=nodes, accelerator="auto", strategy=strategy, precision=config.precision
    )
    fabric.launch()
    return fabric


def on_first_rank(work: Callable[[], T]) -> T:
    """Call a function on rank 0 alone, and give every rank its outcome; no rank continues before it has finished.

    Args:
        work: Reads, writes or judges; its result can be pickled.

    Returns:
        The result, on every rank.

    Raises:
        Exception: The exception that ``work`` raised, on every rank.
    """
    if ranks() == 1:
        return work()
    outcome: list[tuple[T | None, Exception | None] | None] = [None]
    if rank() == 0:
        try:
            outcome = [(work(), None)]
        except Exception as error:  # raised below, on every rank
            outcome = [(None, error)]
    dist.broadcast_object_list(outcome, src=0)
    assert outcome[0] is not None
    result, error = outcome[0]
    if error is not None:
        raise error
    return result  # pyright: ignore[reportReturnType]


def _connected() -> bool:
    return dist.is_available() and dist.is_initialized()
