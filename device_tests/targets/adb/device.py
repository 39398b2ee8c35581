"""Run models on a device over ADB: nothing is installed on it, and everything is removed at the end."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Generator
from pathlib import Path, PurePosixPath

import numpy as np
from tqdm import tqdm

from device_tests.targets.adb.client import Adb, DeviceError
from device_tests.targets.adb.storage import PLACE, Storage
from device_tests.targets.emulated.runtime_folder import RuntimeFolder
from device_tests.targets.job import RUNNER, failed_in, job_text, returned_in, timed_in, timing_text
from device_tests.targets.session import SILENCE_LIMIT, Ending, Session, Sessions
from device_tests.targets.target import Progress, Request, Returned, Timed, Timing
from hetero.errors import InputError
from hetero.storage.scratch import scratch_folder


class Device:
    """A device, for as long as it is connected.

    Args:
        adb: The device.
        runtime: The folder pushed to it, for its processor.
        emulated: True if the device is emulated; passed on to the answers.
        place: The folder on the device for everything.
    """

    def __init__(self, adb: Adb, runtime: RuntimeFolder, *, emulated: bool, place: str = PLACE) -> None:
        self._adb, self._runtime, self._emulated, self._place = adb, runtime, emulated, place
        self._lock = threading.Lock()
        # Closed even if the device was lost or full before it was ready: its files are removed, though it is unused.
        self._opened: Storage | None = None
        self._storage: Storage | None = None
        self._command = ""
        self._numbers = itertools.count()
        self._sessions = Sessions(self._start)

    def run(self, request: Request, progress: Progress) -> Returned:
        """Run one request; if the device is gone or full, the answer is not verified, with the reason."""
        try:
            return self._run(request, progress)
        except DeviceError as error:
            return Returned(error=str(error), not_verified=True, emulated=self._emulated)

    def time(self, timing: Timing, progress: Progress) -> Timed:
        """Time models.

        Raises:
            InputError: If one cannot be timed, or the device is gone or full.
        """
        storage = self._ready()
        folder = self._new_folder()
        storage.put(timing.models)
        models = [storage.address(model) for model in timing.models]
        job = self._described(storage, timing_text(timing, folder, models), folder)
        with self._done(timing.runtime, job, folder, progress) as (here, error, _):
            if error:
                raise InputError(f"{timing.runtime} cannot time a model on the device: {error}")
            return timed_in(here)

    def close(self) -> None:
        """End the processes and remove everything from the device, which may be used again afterwards."""
        self._sessions.close()
        storage, self._opened, self._storage = self._opened, None, None
        if storage is None:
            return
        try:
            storage.remove()
        except InputError as error:
            tqdm.write(f"{self._place} stays on the device until a verification of it ends: {error}")

    def _run(self, request: Request, progress: Progress) -> Returned:
        storage = self._ready()
        folder = self._new_folder()
        job = self._sent(storage, request, folder)
        with self._done(request.runtime, job, folder, progress) as (here, error, unknown):
            if error:
                return Returned(error=error, not_verified=unknown, emulated=self._emulated)
            return returned_in(here, emulated=self._emulated)

    @contextlib.contextmanager
    def _done(self, runtime: str, job: str, folder: str, progress: Progress) -> Generator[tuple[Path, str, bool]]:
        """Run a job; yield its output folder, an error or nothing, and True if that says nothing about the model."""
        with self._sessions.lend(runtime) as session:
            ending = session.run(job, progress)
        if ending.session_said is not None:
            self._require_still_there(ending)
        with scratch_folder("device") as own:
            self._adb.pull(folder, own)
            here = own / PurePosixPath(folder).name
            yield here, *failed_in(here, ending)

    def _new_folder(self) -> str:
        return f"{self._place}/job-{next(self._numbers)}"

    def _ready(self) -> Storage:
        with self._lock:
            if self._storage is None:
                self._adb.require()
                storage = Storage(self._adb, self._place)
                self._opened = storage
                folder = storage.unpack(self._runtime)
                variables = [f"{name}={value}" for name, value in self._runtime.variables(folder).items()]
                self._command = " ".join([*variables, *self._runtime.program(folder)])
                self._send_runner(storage)
                self._storage = storage
            return self._storage

    def _send_runner(self, storage: Storage) -> None:
        files = sorted(RUNNER.glob("*.py"))
        storage.put(files)
        folder = f"{self._place}/runner"
        copies = [f"cp {storage.address(file)} {folder}/{file.name}" for file in files]
        self._adb.shell(" && ".join([f"mkdir -p {folder}", *copies]))

    def _sent(self, storage: Storage, request: Request, folder: str) -> str:
        """Send everything that the job needs to the device; return the path of its description there."""
        originals = [one.file for one in request.originals]
        with scratch_folder("device") as own:
            images = own / "images.npy"
            np.save(images, request.images)
            graphs = [request.gallery.graph] if request.gallery else []
            storage.put([request.model, images, *originals, *graphs])
            model, pixels = storage.address(request.model), storage.address(images)
            graph = "".join(map(storage.address, graphs))
            text = job_text(request, folder, model, pixels, [storage.address(file) for file in originals], graph)
        return self._described(storage, text, folder)

    def _described(self, storage: Storage, text: str, folder: str) -> str:
        """Send a job's description to the device, and make its folder; return the path of the description."""
        with scratch_folder("device") as own:
            job = own / "job.json"
            job.write_text(text, encoding="utf-8")
            storage.put([job])
            self._adb.shell(f"mkdir {folder}")
            return storage.address(job)

    def _start(self, runtime: str) -> Session:
        # Runtimes write their temporary files here, within the folder that is removed at the end.
        scratch = f"{self._place}/scratch"
        start = f"TMPDIR={scratch} HOME={scratch} {self._command} -m runner {runtime}"
        # Python finds the runner's folder because it searches its working directory.
        script = f"mkdir -p {scratch} && cd {self._place} && {start}"
        return Session(self._adb.command("shell", "-T", script), self._adb.variables, SILENCE_LIMIT)

    def _require_still_there(self, ending: Ending) -> None:
        """Raise if the device is gone; otherwise the end of the runner is the model's or the runtime's fault."""
        try:
            self._adb.shell("true")
        except DeviceError as error:
            raise self._adb.failed(f"device not found while a model ran; {ending.session_said or error}") from None
