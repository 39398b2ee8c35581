"""Stand-ins for the processes of a command that take seconds to start, and whose writes no hook would see."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import signal
import sys
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO
from unittest import mock

import numpy as np

from hetero.pipeline.engine.stage import RunStage, run_stages
from hetero.processes import children
from hetero.upgrade.backfill.running import workers


@contextlib.contextmanager
def stand_ins() -> Generator[None]:
    """Stages, comparisons and workers in this process, converters in a fork; clock and drawn keys are constants."""
    from device_tests.targets.job import returned_in as returned
    from export.conversion import worker as convert

    def start(_command: object, *, folder: Path, variables: Mapping[str, str], **streams: Any) -> Program:
        return Program(convert.main, folder=folder, variables=variables, output=streams["stdout"])

    def told_by_no_clock(folder: Path, *, emulated: bool) -> Any:
        told = returned(folder, emulated=emulated)
        seconds = np.ones_like(told.latency_seconds)
        return dataclasses.replace(told, load_seconds=1.0, latency_seconds=seconds, peak_memory_bytes=1)

    with (
        mock.patch("hetero.upgrade.backfill.running.workers.Processes", lambda _: workers.Here()),
        mock.patch("device_tests.targets.process.returned_in", told_by_no_clock),
        mock.patch("device_tests.answers.sealed.secrets.token_bytes", bytes),
        mock.patch("hetero.pipeline.commands.run.run_graph", _one_after_another),
        mock.patch("hetero.compare.work.ProcessPoolExecutor", Here),
        mock.patch("export.conversion.processes.children", SimpleNamespace(**{**vars(children), "start": start})),
    ):
        yield


def _one_after_another(root: Path, stages: Sequence[RunStage], *, jobs: int) -> list[str]:
    return run_stages(root, stages)


class Here(Executor):
    """Does what is submitted at once."""

    def __init__(self, *_: object, **__: object) -> None:
        """Take what a pool of processes takes."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """Do it."""
        done: Future[Any] = Future()
        try:
            done.set_result(function(*arguments, **named))
        except Exception as error:
            done.set_exception(error)
        return done


class Program:
    """A function in a fork, as :class:`subprocess.Popen` shows a program.

    Args:
        main: What it does; its standard input is a pipe.
        folder: Where it works.
        variables: Its environment.
        output: Takes what it prints.
    """

    def __init__(self, main: Callable[[], None], *, folder: Path, variables: Mapping[str, str], output: Any) -> None:
        read, write = os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os.close(write)
            os.dup2(read, 0)
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            os.chdir(folder)
            os.environ.clear()
            os.environ.update(variables)
            sys.stdin = io.TextIOWrapper(os.fdopen(0, "rb", closefd=False))
            leave_after(main)
        os.close(read)
        self.stdin: BinaryIO = os.fdopen(write, "wb")

    def poll(self) -> int | None:
        """Its status once it has ended."""
        return self._wait(os.WNOHANG)

    def wait(self) -> int | None:
        """Its status, when it has ended."""
        return self._wait(0)

    def kill(self) -> None:
        """End it."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)

    def _wait(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode


def leave_after(main: Callable[[], object]) -> None:
    """Run a function, and end this process without what its parent has to do at its end."""
    status = 1
    try:
        main()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)
