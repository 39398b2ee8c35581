"""Stages side by side: each in a process of its own, as soon as those that it builds on are done."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from multiprocessing.connection import wait
from pathlib import Path

from hetero.pipeline.engine.screen import Screen
from hetero.pipeline.engine.stage import Stage, settle, up_to_date
from hetero.pipeline.engine.worker import Worker


def run_graph(root: Path, stages: Sequence[Stage], *, jobs: int) -> list[str]:
    """Run what is not up to date: what is ready starts in the order given, so many at once.

    The first stage that fails ends the others; what is finished is kept, and the same call continues the rest.

    Args:
        root: The run's directory.
        stages: Some of a run's; those that they build on and that are not among them count as done.
        jobs: How many at once.

    Returns:
        Names of the stages that ran, in the order in which they ended.

    Raises:
        InputError: Of the stage that failed first, or when its process died.
        Exception: What else a stage raised; a note says where.
        KeyboardInterrupt: When it was interrupted, once all processes have ended.
    """
    heads = {stage.directory: f"[{number}/{len(stages)}] {stage.name}" for number, stage in enumerate(stages, start=1)}
    order, running, ran = _Order(stages), dict[str, Worker](), list[str]()
    with Screen(sys.stderr, lines=jobs) as screen:
        try:
            while order.is_active:
                while len(running) < jobs and (stage := order.next()):
                    head = heads[stage.directory]
                    if up_to_date(root, stage):
                        settle(root, stage)
                        order.done(stage.directory)
                        screen.say(f"{head}: up to date")
                        continue
                    screen.say(f"{head} ...")
                    running[stage.directory] = Worker(root, stage, screen)
                for directory in _ended(running):
                    worker = running.pop(directory)
                    worker.finish()
                    order.done(directory)
                    ran.append(worker.name)
                    screen.say(f"{heads[directory]}: done in {time.monotonic() - worker.started:.0f} s")
        finally:
            for worker in running.values():
                worker.interrupt()
            for worker in running.values():
                worker.end()
    return ran


class _Order:
    """Which stage is next: of those that are ready, the one given first."""

    def __init__(self, stages: Sequence[Stage]) -> None:
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

    def next(self) -> Stage | None:
        """The next stage, which is not given again; None when all that is left waits for others."""
        self._ready.update(self._sorter.get_ready())
        directory = next((one for one in self._stages if one in self._ready), None)
        if directory is None:
            return None
        self._ready.remove(directory)
        return self._stages[directory]

    def done(self, directory: str) -> None:
        """Those that build on a stage need not wait for it any more."""
        self._sorter.done(directory)


def _ended(running: Mapping[str, Worker]) -> list[str]:
    """Show what the processes say until one has ended; those that have."""
    while running:
        talking = {worker.errors: worker for worker in running.values() if not worker.silent}
        ending = {worker.outcome: directory for directory, worker in running.items()}
        heard = wait([*talking, *ending])
        for worker in (talking[one] for one in heard if one in talking):  # pyright: ignore[reportArgumentType]
            worker.listen()
        if ended := [ending[one] for one in heard if one in ending]:  # pyright: ignore[reportArgumentType]
            return ended
    return []
