"""How many threads each stage has: the cores, divided by the trainings that may run beside it.

On the CPU the number of threads of a training decides the last bits of its sums. So it follows from the recipe and the
machine, never from what happens to run at the same time or is done already: a run gives the same bits however many
stages run at once, and whenever it is interrupted. ``threads`` in a recipe says another number.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from graphlib import TopologicalSorter

from hetero.data.decoding.parallel import workers
from hetero.pipeline.engine.stage import Stage


def with_threads(stages: Sequence[Stage]) -> list[Stage]:
    """The stages of a run, all of them, with their share of the cores; at least one thread each."""
    found = cores()
    return [dataclasses.replace(stage, threads=max(1, found // (1 + beside))) for stage, beside in _beside(stages)]


def cores() -> int:
    """Cores that this process may use; ``OMP_THREAD_LIMIT`` or ``OMP_NUM_THREADS`` lowers the number.

    A stage's process has its own share of them in the second, and the number that a run has in the first.
    """
    limit = os.environ.get("OMP_THREAD_LIMIT") or os.environ.get("OMP_NUM_THREADS", "")
    return min(int(limit), workers()) if limit.isdecimal() and int(limit) else workers()


def stages_at_once() -> int:
    """As many stages as there are cores; one where they would share a GPU and its memory."""
    import torch

    return 1 if torch.accelerator.is_available() else cores()


def _beside(stages: Sequence[Stage]) -> list[tuple[Stage, int]]:
    """Each stage with the number of other trainings that neither come before nor after it."""
    after = {stage.directory: set(stage.after) for stage in stages}
    before: dict[str, set[str]] = {}
    for directory in TopologicalSorter(after).static_order():
        before[directory] = after[directory].union(*(before[one] for one in after[directory]))
    trainings = [stage.directory for stage in stages if stage.trains]

    def beside(own: str) -> int:
        return sum(one != own and own not in before[one] and one not in before[own] for one in trainings)

    return [(stage, beside(stage.directory)) for stage in stages]
