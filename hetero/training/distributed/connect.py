"""The connection of the processes that ``torchrun`` started."""

from __future__ import annotations

import atexit
from datetime import timedelta
from functools import cache

import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from hetero.processes.launch import machines, processes, processes_here
from hetero.training.config import TrainingConfig
from hetero.training.loop.machine import require_machine

# Ranks that read images may be far apart at the first step. A rank that dies is noticed at once, not by this limit.
_PATIENCE = timedelta(hours=6)


def connect(config: TrainingConfig, *, in_parts: bool = False) -> Fabric:
    """Connect the processes that ``torchrun`` started, or set up a single one.

    Args:
        config: Sets the precision.
        in_parts: True if a step may train a part of the weights, the same on every rank.

    Raises:
        InputError: When the machine cannot train as configured.
    """
    require_machine(config)
    strategy = DDPStrategy(timeout=_PATIENCE, find_unused_parameters=in_parts) if processes() > 1 else "auto"
    fabric = Fabric(
        devices=processes_here(),
        num_nodes=machines(),
        accelerator="auto",
        strategy=strategy,
        precision=config.precision,
    )
    fabric.launch()
    _leave_at_exit()
    return fabric


@cache
def _leave_at_exit() -> None:
    """Leave the group when this process ends, which its threads may abort otherwise; Fabric does so on GPUs only."""
    if processes() > 1 and dist.get_backend() == "gloo":
        atexit.register(dist.destroy_process_group)
