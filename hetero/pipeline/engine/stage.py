"""Stages: ``recipe + inputs -> files``. A stage is up to date when its digest is recorded."""

from __future__ import annotations

import contextlib
import fcntl
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hetero.files import read_json, write_bytes, write_json
from hetero.storage.directories import recovered, swap_directory
from hetero.storage.durable import sync_tree
from hetero.storage.unfinished import discard, sweep

RECORD = "stage.json"
PARTIAL = ".partial"


@dataclass(frozen=True)
class RunStage:
    """One step of a run.

    Attributes:
        name: For people and ``--until``.
        directory: Directory of its files, below the run's directory.
        identity: Digest of the part of the recipe and of the inputs that it depends on.
        produce: Fills the directory that it is called with. After an interruption it is called with the same directory
            and its files, so it may continue.
        publish: Files of the directory that are also copied to the run's top.
        scratch: Files of the directory that serve only to continue after an interruption; removed when it is done.
        after: Directories of the stages whose files it reads.
        trains: True if it trains a model: trainings that may run side by side share the cores.
        threads: Threads of its process, when it has its own: see :mod:`hetero.pipeline.engine.threads`.
        shared: True if the processes that ``torchrun`` started work on it together; any other is for rank 0 alone.
    """

    name: str
    directory: str
    identity: str
    produce: Callable[[Path], None]
    publish: tuple[str, ...] = ()
    scratch: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    trains: bool = False
    threads: int = 1
    shared: bool = False


def up_to_date(root: Path, stage: RunStage) -> bool:
    """Return True if the stage's files on disk match its identity."""
    recovered(root / stage.directory)
    return _record(root / stage.directory).get("identity") == stage.identity


def run_stages(root: Path, stages: Sequence[RunStage]) -> list[str]:
    """Run the stages that are not up to date in this process, in the given order.

    :mod:`hetero.pipeline.engine.graph` runs stages in processes of their own.

    Returns:
        Names of the stages that ran.
    """
    ran: list[str] = []
    for number, stage in enumerate(stages, start=1):
        head = f"[{number}/{len(stages)}] {stage.name}"
        if up_to_date(root, stage):
            settle(root, stage)
            _say(f"{head}: up to date")
            continue
        _say(f"{head} ...")
        started = time.monotonic()
        perform(root, stage)
        ran.append(stage.name)
        _say(f"{head}: done in {time.monotonic() - started:.0f} s")
    return ran


def perform(root: Path, stage: RunStage) -> None:
    """Run one stage, whether it is up to date or not; see :func:`working_directory`."""
    with working_directory(root, stage) as work:
        if work is not None:
            stage.produce(work)


@contextlib.contextmanager
def working_directory(root: Path, stage: RunStage) -> Generator[Path | None]:
    """Yield the directory that a stage is to fill, or None when a killed run has filled it already.

    It is a separate directory, which moves to its final place in one step when the block ends, so that a killed run
    leaves the last complete result where it was. If a killed run of the same stage still has a process, this waits for
    that.
    """
    work, final = root / PARTIAL / stage.directory, root / stage.directory
    with _working(work):
        record = {"stage": stage.name, "identity": stage.identity}
        if work.exists() and _record(work).get("identity") != stage.identity:
            discard(work)
        work.mkdir(exist_ok=True)
        if _record(work).get("finished"):
            yield None
        else:
            write_json(work / RECORD, record)
            yield work
            sync_tree(work)
            # A kill from here on loses nothing: both sides of the swap are finished results.
            write_json(work / RECORD, record | {"finished": True})
        for name in stage.scratch:
            (work / name).unlink(missing_ok=True)
        final.parent.mkdir(parents=True, exist_ok=True)
        swap_directory(work, final)
        if work.exists():
            discard(work)
    publish(root, stage)


def settle(root: Path, stage: RunStage) -> None:
    """Finish the cleaning up that a run left when it was killed after a stage's files had moved into place."""
    work = root / PARTIAL / stage.directory
    if work.parent.is_dir():
        with _working(work):
            if work.exists():
                discard(work)
    publish(root, stage)


def publish(root: Path, stage: RunStage) -> None:
    """Copy a finished stage's published files to the run's top."""
    for name in stage.publish:
        sweep(root / name)
        data = (root / stage.directory / name).read_bytes()
        if not (root / name).is_file() or (root / name).read_bytes() != data:
            write_bytes(root / name, data)


def _record(directory: Path) -> dict[str, Any]:
    try:
        value = read_json(directory / RECORD)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


@contextlib.contextmanager
def _working(work: Path) -> Generator[None]:
    work.parent.mkdir(parents=True, exist_ok=True)
    with (work.parent / f".{work.name}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        sweep(work)
        yield


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
