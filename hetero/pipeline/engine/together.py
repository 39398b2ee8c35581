"""Stages under ``torchrun``: all processes train each model together, and rank 0 does the rest.

Records, directories and progress are rank 0's; every rank reads what earlier stages wrote.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sys
import time
from collections.abc import Generator, Sequence
from functools import partial
from itertools import groupby
from pathlib import Path

from hetero.display.progress import VARIABLE
from hetero.pipeline.engine.graph import headings, run_graph
from hetero.pipeline.engine.screen import Screen
from hetero.pipeline.engine.stage import RunStage, settle, up_to_date, working_directory
from hetero.processes.children import ended_in_order
from hetero.processes.launch import own_rank, processes
from hetero.processes.ranks import on_first_rank, ranks, require_agreement

_TOKEN = ".seen-by-all"


@contextlib.contextmanager
def joined() -> Generator[None]:
    """Connect the processes that ``torchrun`` started, if there are several, to work together in a block."""
    if processes() == 1:
        yield
        return
    # Late, because a run with nothing to do needs no torch.
    from hetero.training.config import TrainingConfig
    from hetero.training.distributed.connect import connect

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    connect(TrainingConfig())
    if own_rank() > 0:
        os.environ[VARIABLE] = "quiet"
    with ended_in_order():
        yield


def require_shared_folder(root: Path) -> None:
    """Refuse a run's directory that is another one on another machine.

    Raises:
        InputError: On every rank, with the numbers of those that do not see what rank 0 wrote.
    """
    if ranks() == 1:
        return
    token, path = on_first_rank(partial(secrets.token_hex, 8)), root / _TOKEN
    on_first_rank(lambda: path.write_text(token, encoding="ascii"))
    seen = path.read_text(encoding="ascii") if path.is_file() else "nothing"
    require_agreement(
        seen,
        f"{root} is another directory on another machine: expected a file system that all of them see at the same "
        "path, for --out and the data",
    )
    on_first_rank(path.unlink)


def run_together(root: Path, stages: Sequence[RunStage], *, jobs: int) -> None:
    """Run the stages that are not up to date, as :func:`hetero.pipeline.engine.graph.run_graph` does.

    Args:
        root: The run's directory, the same for all ranks.
        stages: Stages of a run, in an order of dependence.
        jobs: Number of stages at once, of those for rank 0 alone.

    Raises:
        Exception: The first error of rank 0 or of this rank.
    """
    for shared, group in groupby(stages, key=lambda stage: stage.shared):
        batch = list(group)
        if not shared:
            on_first_rank(partial(run_graph, root, batch, jobs=jobs, of=stages))
            continue
        for stage in batch:
            _run_shared(root, stage, headings(stages)[stage.directory])


def _run_shared(root: Path, stage: RunStage, head: str) -> None:
    screen, started = Screen(sys.stderr, lines=0), time.monotonic()
    if on_first_rank(partial(up_to_date, root, stage)):
        on_first_rank(partial(settle, root, stage))
        screen.announce(f"{head}: up to date")
        return
    screen.announce(f"{head} ...")
    with contextlib.ExitStack() as stack:
        work = on_first_rank(lambda: stack.enter_context(working_directory(root, stage)))
        if work is not None:
            stage.produce(work)
    screen.announce(f"{head}: done in {time.monotonic() - started:.0f} s")
