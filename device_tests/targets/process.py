"""Run models in separate processes: a runtime that crashes is a finding, not the end of the verification."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from device_tests.targets.job import failed_in, job_text, returned_in, runner_files, timed_in, timing_text
from device_tests.targets.session import SILENCE_LIMIT, TOTAL_LIMIT, Session, Sessions
from device_tests.targets.target import Progress, Request, Returned, Timed, Timing
from export.kinds.registry import engine_place
from hetero.errors import InputError
from hetero.processes import children
from hetero.storage.scratch import scratch_folder

LIMITS = children.Limits(memory_bytes=8 << 30, processor_seconds=int(TOTAL_LIMIT), file_bytes=1 << 30)
"""Limits far above the needs of a model for devices."""
_SCRATCH = "scratch"


class LocalRunner:
    """Sessions of a Python of this machine, which may be an emulated one.

    Args:
        command: The interpreter with its options.
        environment: The whole environment of its processes; the runner is added to PYTHONPATH.
        emulated: True if it is emulated; passed on to the answers.
        silence_limit: Seconds without progress after which a model is stopped.
        total_limit: Seconds after which it is stopped in any case.
        limits: Resource limits of its processes.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        *,
        emulated: bool,
        silence_limit: float = SILENCE_LIMIT,
        total_limit: float = TOTAL_LIMIT,
        limits: children.Limits = LIMITS,
    ) -> None:
        self._command, self._environment = command, environment
        self._emulated, self._limits = emulated, limits
        self._silence_limit, self._total_limit = silence_limit, total_limit
        self._held = contextlib.ExitStack()
        self._folder: Path | None = None
        self._preparing = threading.Lock()
        self._sessions = Sessions(self._start)

    def run(self, request: Request, progress: Progress) -> Returned:
        """Run one request."""
        with tempfile.TemporaryDirectory(prefix="hetero-", dir=self._prepared()) as name:
            folder = Path(name)
            error, unknown = self._failed(request.runtime, _written(request, folder), progress)
            if error:
                return Returned(error=error, not_verified=unknown, emulated=self._emulated)
            return returned_in(folder, emulated=self._emulated)

    def time(self, timing: Timing, progress: Progress) -> Timed:
        """Time models.

        Raises:
            InputError: If one cannot be timed.
        """
        with tempfile.TemporaryDirectory(prefix="hetero-", dir=self._prepared()) as name:
            folder = Path(name)
            job = folder / "job.json"
            models = [str(model.resolve()) for model in timing.models]
            job.write_text(timing_text(timing, str(folder), models), encoding="utf-8")
            error, _ = self._failed(timing.runtime, job, progress)
            if error:
                raise InputError(f"{timing.runtime} cannot time a model: {error}")
            return timed_in(folder)

    def _failed(self, runtime: str, job: Path, progress: Progress) -> tuple[str, bool]:
        """Run a job's file: return an error or nothing, and True if the error says nothing about the model."""
        with self._sessions.lend(runtime) as session:
            ending = session.run(str(job), progress)
        return failed_in(job.parent, ending)

    def close(self) -> None:
        """End the processes; it may be run again afterwards."""
        self._sessions.close()
        self._held.close()
        self._folder = None

    def _start(self, runtime: str) -> Session:
        folder = self._prepared()
        path = os.pathsep.join([str(folder), *filter(None, [self._environment.get("PYTHONPATH")])])
        # Runtimes write their temporary files here, within the folder that is removed at the end.
        environment = {**self._environment, "PYTHONPATH": path, "TMPDIR": str(folder / _SCRATCH)}
        return Session(
            [*self._command, "-m", "runner", _called(runtime)],
            environment,
            self._silence_limit,
            total_limit=self._total_limit,
            limits=self._limits,
            home=folder,
        )

    def _prepared(self) -> Path:
        """Return the folder with a copy of the runner, apart from the package's other modules."""
        # Sessions of several runtimes start at once: none may see the folder before the runner is complete.
        with self._preparing:
            if self._folder is None:
                folder = self._held.enter_context(scratch_folder("runner"))
                place = folder / "runner"
                place.mkdir()
                (folder / _SCRATCH).mkdir()
                for name, content in runner_files().items():
                    (place / name).write_bytes(content)
                self._folder = folder
            return self._folder


def _called(runtime: str) -> str:
    """Return an engine's name as :func:`device_tests.runner.engines.engine` expects it."""
    place = engine_place(runtime)
    return f"{runtime}={place}" if place else runtime


def _written(request: Request, folder: Path) -> Path:
    images = folder / "images.npy"
    np.save(images, request.images)
    originals = [str(one.file.resolve()) for one in request.originals]
    path = folder / "job.json"
    graph = str(request.gallery.graph.resolve()) if request.gallery else ""
    text = job_text(request, str(folder), str(request.model.resolve()), str(images), originals, graph)
    path.write_text(text, encoding="utf-8")
    return path
