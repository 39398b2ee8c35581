"""One stage in its own process."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
import traceback
from multiprocessing.connection import Connection, wait
from pathlib import Path

from hetero.display.progress import VARIABLE, Mode, progress_mode
from hetero.errors import InputError
from hetero.pipeline.engine.screen import Screen
from hetero.pipeline.engine.stage import RunStage, perform
from hetero.pipeline.engine.threads import cores
from hetero.processes.children import spawn_context
from hetero.processes.launch import forget_launch
from hetero.processes.sendable import sendable

_PATIENCE = 10.0
"""Seconds that an interrupted stage has to end its own processes before it is killed."""


class Worker:
    """A running stage.

    The process leads its own group: Ctrl-C reaches only the run, which passes it on once. It ends with the run.

    Args:
        root: The run's directory.
        stage: The stage to run.
        screen: Shows its output.

    Attributes:
        name: Name of the stage.
        errors: Readable end of its standard error.
        outcome: Readable when the process has ended.
        started: ``time.monotonic()`` at its start.
        silent: True if nothing more will come from :attr:`errors`.
    """

    def __init__(self, root: Path, stage: RunStage, screen: Screen) -> None:
        context = spawn_context()
        self.name, self._line = stage.name, screen.line(stage.name)
        self.started, self.silent = time.monotonic(), False
        self.errors, errors = context.Pipe(duplex=False)
        self.outcome, outcome = context.Pipe(duplex=False)
        self._process = context.Process(
            target=_work, args=(root, stage, errors, outcome, progress_mode()), name=stage.name
        )
        # It inherits the signal mask, which protects it until it leads its own group.
        with errors, outcome, _without_interrupts():
            self._process.start()

    def listen(self) -> None:
        """Show its new output."""
        output = os.read(self.errors.fileno(), 1 << 16)
        self.silent = not output
        self._line.add(output)

    def finish(self) -> None:
        """Receive the outcome of the stage.

        Raises:
            Exception: The error that the stage raised.
            InputError: When the process died.
        """
        try:
            error: BaseException | None = self.outcome.recv()
        except EOFError:
            error = None
            self._process.join()
            if self._process.exitcode:
                error = InputError(f"{self.name}: {_death(self._process.exitcode)}; the same command continues")
        self.end()
        if error is not None:
            raise error

    def interrupt(self) -> None:
        """Ask the process to stop."""
        if self._process.is_alive() and self._process.pid:
            os.kill(self._process.pid, signal.SIGINT)

    def end(self) -> None:
        """Wait for the process to end, kill it when that takes too long, and show its last output."""
        deadline = time.monotonic() + _PATIENCE
        while self._process.is_alive() and time.monotonic() < deadline:
            self._hear(0.1)
        if self._process.is_alive() and self._process.pid:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.join()
        while not self.silent and self.errors.poll():
            self.listen()
        self._line.close()
        self.errors.close()
        self.outcome.close()
        self._process.close()

    def _hear(self, seconds: float) -> None:
        ready = wait([self._process.sentinel, *([] if self.silent else [self.errors])], seconds)
        if self.errors in ready:
            self.listen()


def _work(root: Path, stage: RunStage, errors: Connection, outcome: Connection, mode: Mode) -> None:
    """Run a stage and send the error that it raised, or None."""
    os.setpgid(0, 0)
    os.dup2(errors.fileno(), 2)
    errors.close()
    os.environ[VARIABLE] = mode  # its own standard error is a pipe
    # Torch reads these when it is loaded. Threads that wait at a barrier leave the cores to the other stages.
    limits = {"OMP_NUM_THREADS": str(stage.threads), "OMP_THREAD_LIMIT": str(max(stage.threads, cores()))}
    os.environ.update(limits, OMP_WAIT_POLICY="PASSIVE")
    forget_launch()
    threading.Thread(target=_end_with_run, daemon=True).start()
    error: BaseException | None = None
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        perform(root, stage)
    except InputError as problem:
        error = problem
    except BaseException as problem:
        error = problem
        error.add_note("".join(traceback.format_exception(problem)))
    # The run may have ended.
    with contextlib.suppress(BrokenPipeError):
        outcome.send(sendable(error) if error else None)


def _end_with_run() -> None:
    run = multiprocessing.parent_process()
    assert run is not None
    run.join()
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(_PATIENCE)
    os.killpg(0, signal.SIGKILL)


@contextlib.contextmanager
def _without_interrupts():
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _death(status: int) -> str:
    if status < 0:
        how = f"was killed by {signal.Signals(-status).name}"
        return f"its process {how}" + (", most likely for lack of memory" if -status == signal.SIGKILL else "")
    return f"its process ended with status {status}"
