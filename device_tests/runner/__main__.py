"""Serve jobs; see the package's own words."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from importlib import import_module

from . import COPIES
from .engines import engine
from .job import run_job

_SIGNAL_AT_PARENTS_END = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>


def main(runtime: str, job: str = "") -> None:
    """Serve the jobs that standard input names; with ``job``, run that one alone."""
    start = time.perf_counter()
    if job or COPIES:
        for module in engine(runtime).modules:
            import_module(module)
    import_seconds = time.perf_counter() - start
    if job:
        sys.exit(run_job(runtime, job, import_seconds))
    for line in sys.stdin:
        status = _in_a_copy(runtime, line.strip(), import_seconds)
        sys.stdout.write(f"exit {status}\n")
        sys.stdout.flush()


def _in_a_copy(runtime: str, job: str, import_seconds: float) -> int:
    """Run a job in a process of its own; returns its exit status, negative for a signal."""
    if not COPIES:
        return subprocess.call([sys.executable, "-P", "-s", "-m", __package__ or "runner", runtime, job])
    runner = os.getpid()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            _end_with(runner)
            status = run_job(runtime, job, import_seconds)
        finally:
            os._exit(status)  # What is to be done at the end is the parent's.
    _, status = os.waitpid(child, 0)
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _end_with(runner: int) -> None:
    """Have this process end when the runner does, however that ends, where the system knows how."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_SIGNAL_AT_PARENTS_END, signal.SIGKILL)
    if os.getppid() != runner:
        os._exit(1)  # It ended before this was said.


if __name__ == "__main__":
    main(*sys.argv[1:])
