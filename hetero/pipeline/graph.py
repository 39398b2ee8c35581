"""Stages side by side: each in a process of its own, as soon as those that it builds on are done."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from multiprocessing.connection import wait
from pathlib import Path

from hetero.pipeline.screen import Screen
from hetero.pipeline.stage import Stage, publish, up_to_date
from hetero.pipeline.worker import Worker


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
    known = {stage.directory: stage for stage in stages}
    place = {directory: number for number, directory in enumerate(known)}
    heads = {stage.directory: f"[{place[stage.directory] + 1}/{len(stages)}] {stage.name}" for stage in stages}
    sorter = TopologicalSorter({stage.directory: known.keys() & set(stage.after) for stage in stages})
    sorter.prepare()
    ready, running, ran = list[str](), dict[str, Worker](), list[str]()
    with Screen(sys.stderr, lines=jobs) as screen:
        try:
            while sorter.is_active():
                ready = sorted([*ready, *sorter.get_ready()], key=place.__getitem__)
                while ready and len(running) < jobs:
                    stage = known[directory := ready.pop(0)]
                    if up_to_date(root, stage):
                        publish(root, stage)
                        screen.say(f"{heads[directory]}: up to date")
                        sorter.done(directory)
                        ready = sorted([*ready, *sorter.get_ready()], key=place.__getitem__)
                        continue
                    screen.say(f"{heads[directory]} ...")
                    running[directory] = Worker(root, stage, screen)
                for directory in _ended(running):
                    worker = running.pop(directory)
                    worker.finish()
                    sorter.done(directory)
                    ran.append(known[directory].name)
                    screen.say(f"{heads[directory]}: done in {time.monotonic() - worker.started:.0f} s")
        finally:
            for worker in running.values():
                worker.interrupt()
            for worker in running.values():
                worker.end()
    return ran


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
