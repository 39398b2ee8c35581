"""Stages that wait for each other, fail and die; as a program, a run to be interrupted."""

from __future__ import annotations

import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

from tqdm import tqdm

from hetero.errors import InputError
from hetero.pipeline.engine.graph import run_graph
from hetero.pipeline.engine.stage import RunStage

PATIENCE = 60.0


def wait_for(*files: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not all(file.exists() for file in files):
        assert time.monotonic() < deadline, files
        time.sleep(0.01)


def note_times(signs: Path, name: str, seconds: float, work: Path) -> None:
    started = time.monotonic()
    time.sleep(seconds)
    (work / "out.txt").write_text(name)
    (signs / name).write_text(f"{started} {time.monotonic()}")


def meet(signs: Path, name: str, other: str, work: Path) -> None:
    (signs / f"{name}.here").touch()
    wait_for(signs / f"{other}.here")
    (work / "out.txt").write_text(name)


def need(root: Path, others: tuple[str, ...], work: Path) -> None:
    (work / "out.txt").write_text("".join((root / other / "out.txt").read_text() for other in others))


def hang(signs: Path, work: Path) -> None:
    """Say who this is, then do nothing; done at once when it was begun before."""
    if (work / "half.txt").exists():
        (work / "out.txt").write_text("whole")
        return
    (work / "half.txt").touch()
    pid = signs / "hanging.pid"
    pid.with_suffix(".new").write_text(str(os.getpid()))
    pid.with_suffix(".new").replace(pid)
    time.sleep(PATIENCE)


def refuse(signs: Path, work: Path) -> None:
    wait_for(signs / "hanging.pid")
    raise InputError("this cannot be done:", ["first reason", "second reason"])


def stumble(work: Path) -> None:
    raise ZeroDivisionError(f"in {work.name}")


def die(work: Path) -> None:
    os.kill(os.getpid(), 9)


def talk(work: Path) -> None:
    print("a note", file=sys.stderr)
    for _ in tqdm(range(3), desc="working", mininterval=0):
        time.sleep(0.2)
    (work / "out.txt").write_text(os.environ["OMP_NUM_THREADS"])


def stage(name: str, produce: partial[None], after: tuple[str, ...] = (), **rest: object) -> RunStage:
    return RunStage(name, name, "1", produce, after=after, **rest)


if __name__ == "__main__":
    # A shell lets what it starts in the background, such as a whole run of the tests, ignore interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    root, signs = Path(sys.argv[1]), Path(sys.argv[2])
    done = stage("done", partial(note_times, signs, "done", 0.0))
    try:
        run_graph(root, [done, stage("long", partial(hang, signs), ("done",))], jobs=2)
    except KeyboardInterrupt:
        sys.exit(130)
