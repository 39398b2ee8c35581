"""Stages: ``recipe + inputs -> files``. A stage is up to date when its digest is on record."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hetero.errors import InputError
from hetero.files import read_json, swap_directory, write_bytes, write_json
from hetero.training.launch import require_one_process_for_commands

RECORD = "stage.json"
PARTIAL = ".partial"


@dataclass(frozen=True)
class Stage:
    """One step of a run.

    Attributes:
        name: For people and ``--until``.
        directory: Where its files go, below the run's directory.
        identity: Digest of the part of the recipe and of the inputs that it depends on.
        produce: Fills the directory that it is given. After an interruption it is given the same directory, with
            what was there, so it may go on.
        publish: Files of the directory that are also put at the run's top.
        scratch: Files of the directory that only serve to continue after an interruption; removed when it is done.
        after: Directories of the stages whose files it reads.
        trains: True if it trains a model: trainings that may run side by side share the cores.
        threads: Of its process, when it has one of its own: see :mod:`hetero.pipeline.threads`.
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


def up_to_date(root: Path, stage: Stage) -> bool:
    """Whether the stage's files on disk are what its identity asks for."""
    record = root / stage.directory / RECORD
    try:
        return bool(read_json(record)["identity"] == stage.identity)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def run_stages(root: Path, stages: Sequence[Stage]) -> list[str]:
    """Run what is not up to date in this process, in the order given; :mod:`hetero.pipeline.graph` runs them beside it.

    Returns:
        Names of the stages that ran.
    """
    ran: list[str] = []
    for number, stage in enumerate(stages, start=1):
        head = f"[{number}/{len(stages)}] {stage.name}"
        if up_to_date(root, stage):
            publish(root, stage)
            _say(f"{head}: up to date")
            continue
        _say(f"{head} ...")
        started = time.monotonic()
        perform(root, stage)
        ran.append(stage.name)
        _say(f"{head}: done in {time.monotonic() - started:.0f} s")
    return ran


def perform(root: Path, stage: Stage) -> None:
    """Run one stage, whether it is up to date or not.

    It works in a directory of its own beside its final place, which is renamed when it is done, so that a killed run
    leaves the last complete result where it was. What a killed run of the same stage still has at work is waited for.
    """
    work = root / PARTIAL / stage.directory
    mark = work / RECORD
    work.parent.mkdir(parents=True, exist_ok=True)
    with (work.parent / f".{work.name}.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        if work.exists() and not _belongs(mark, stage):
            shutil.rmtree(work)
        work.mkdir(exist_ok=True)
        write_json(mark, {"stage": stage.name, "identity": stage.identity})
        stage.produce(work)
        final = root / stage.directory
        final.parent.mkdir(parents=True, exist_ok=True)
        swap_directory(work, final)
        for name in stage.scratch:
            (final / name).unlink(missing_ok=True)
    publish(root, stage)


def publish(root: Path, stage: Stage) -> None:
    """Put a finished stage's published files at the run's top."""
    for name in stage.publish:
        data = (root / stage.directory / name).read_bytes()
        if not (root / name).is_file() or (root / name).read_bytes() != data:
            write_bytes(root / name, data)


def _belongs(mark: Path, stage: Stage) -> bool:
    try:
        return bool(read_json(mark)["identity"] == stage.identity)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def locked(root: Path) -> Generator[None]:
    """Hold the run's lock, so that two processes do not work on one run.

    Raises:
        InputError: When another process holds it, or ``torchrun`` started several.
    """
    require_one_process_for_commands()
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"another process is working on {root}; wait for it to end, or choose another --out"
            ) from None
        yield
