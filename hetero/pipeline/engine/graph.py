"""Stages side by side: each in its own process, as soon as the stages that it builds on are done."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from multiprocessing.connection import wait
from pathlib import Path

from hetero.pipeline.engine.screen import Screen
from hetero.pipeline.engine.stage import RunStage, settle, up_to_date
from hetero.pipeline.engine.worker import Worker


def run_graph(root: Path, stages: Sequence[RunStage], *, jobs: int, of: Sequence[RunStage] = ()) -> list[str]:
    """Run the stages that are not up to date; those that are ready start in the given order, up to ``jobs`` at once.

    The first stage that fails ends the others; finished stages are kept, and the same call continues with the rest.

    Args:
        root: The run's directory.
        stages: Stages of a run; others that they build on count as done.
        jobs: Number of stages at once.
        of: All stages of the run, among which these are numbered; by default these alone.

    Returns:
        Names of the stages that ran, in the order in which they ended.

    Raises:
        InputError: The error of the stage that failed first, or when its process died.
        Exception: Any other error of a stage; a note holds its traceback.
        KeyboardInterrupt: When the run was interrupted, once all processes have ended.
    """
    heads = headings(of or stages)
    order, running, ran = _Order(stages), dict[str, Worker](), list[str]()
    with Screen(sys.stderr, lines=jobs) as screen:
        try:
            while order.is_active:
                while len(running) < jobs and (stage := order.next()):
                    head = heads[stage.directory]
                    if up_to_date(root, stage):
                        settle(root, stage)
                        order.done(stage.directory)
                        screen.announce(f"{head}: up to date")
                        continue
                    screen.announce(f"{head} ...")
                    running[stage.directory] = Worker(root, stage, screen)
                for directory in _ended(running):
                    worker = running.pop(directory)
                    worker.finish()
                    order.done(directory)
                    ran.append(worker.name)
                    screen.announce(f"{heads[directory]}: done in {time.monotonic() - worker.started:.0f} s")
        finally:
            for worker in running.values():
                worker.interrupt()
            for worker in running.values():
                worker.end()
    return ran


def headings(stages: Sequence[RunStage]) -> dict[str, str]:
    """Return each stage's number and name, by its directory."""
    return {stage.directory: f"[{number}/{len(stages)}] {stage.name}" for number, stage in enumerate(stages, start=1)}


class _Order:
    """The order of the stages: of those that are ready, the first in the given order is next."""

    def __init__(self, stages: Sequence[RunStage]) -> None:
        self._stages = {stage.directory: stage for stage in stages}
        self._sorter = TopologicalSorter(
            {stage.directory: self._stages.keys() & set(stage.after) for stage in self._stages.values()}
        )
        self._sorter.prepare()
        self._ready: set[str] = set()

    @property
    def is_active(self) -> bool:
        """True if some stage is not done."""
        return self._sorter.is_active()

    def next(self) -> RunStage | None:
        """Return the next stage, each only once; None when all remaining stages wait for others."""
        self._ready.update(self._sorter.get_ready())
        directory = next((place for place in self._stages if place in self._ready), None)
        if directory is None:
            return None
        self._ready.remove(directory)
        return self._stages[directory]

    def done(self, directory: str) -> None:
        """Mark a stage as done, so that others no longer wait for it."""
        self._sorter.done(directory)


def _ended(running: Mapping[str, Worker]) -> list[str]:
    """Show the processes' output until one has ended, and return the directories of those that have."""
    while running:
        talking = {worker.errors: worker for worker in running.values() if not worker.silent}
        ending = {worker.outcome: directory for directory, worker in running.items()}
        ready = wait([*talking, *ending])
        for worker in (talking[end] for end in ready if end in talking):  # pyright: ignore[reportArgumentType]
            worker.listen()
        if ended := [ending[end] for end in ready if end in ending]:  # pyright: ignore[reportArgumentType]
            return ended
    return []
