"""The number of threads of each stage: the cores, divided by the trainings that may run beside it.

On the CPU the number of threads of a training decides the last bits of its sums. So it follows from the recipe and the
machine, never from the stages that happen to run at the same time or are done already: a run gives the same bits
however many stages run at once, and whenever it is interrupted. ``threads`` in a recipe overrides the number.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from graphlib import TopologicalSorter

from hetero.data.decoding.parallel import workers
from hetero.pipeline.engine.stage import RunStage
from hetero.processes.launch import processes_here


def with_threads(stages: Sequence[RunStage]) -> list[RunStage]:
    """Return all the stages of a run with their share of the cores, at least one thread each."""
    count = cores()
    return [dataclasses.replace(stage, threads=max(1, count // (1 + beside))) for stage, beside in _beside(stages)]


def cores() -> int:
    """Count the cores that this process may use; ``OMP_THREAD_LIMIT`` or ``OMP_NUM_THREADS`` lowers the number.

    In a stage's process the second holds the stage's share, and the first the number for the whole run. Under
    ``torchrun`` both hold the share of one rank, and rank 0 may use that of all while the others wait for it.
    """
    limit = os.environ.get("OMP_THREAD_LIMIT") or os.environ.get("OMP_NUM_THREADS", "")
    return min(int(limit) * processes_here(), workers()) if limit.isdecimal() and int(limit) else workers()


def stages_at_once() -> int:
    """Return the number of stages to run at once: the cores, or one where stages would share a GPU and its memory."""
    import torch

    return 1 if torch.accelerator.is_available() else cores()


def _beside(stages: Sequence[RunStage]) -> list[tuple[RunStage, int]]:
    """Return each stage with the number of other trainings that come neither before nor after it."""
    after = {stage.directory: set(stage.after) for stage in stages}
    before: dict[str, set[str]] = {}
    for directory in TopologicalSorter(after).static_order():
        before[directory] = after[directory].union(*(before[earlier] for earlier in after[directory]))
    trainings = [stage.directory for stage in stages if stage.trains]

    def beside(own: str) -> int:
        return sum(other != own and own not in before[other] and other not in before[own] for other in trainings)

    return [(stage, beside(stage.directory)) for stage in stages]
