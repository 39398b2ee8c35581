"""Run the runner in a process of its own: a runtime that crashes is a finding, not the end of the verification."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

import device_tests.runner
from device_tests.targets.target import Progress, Request, Returned

SILENCE_LIMIT = 600.0
"""Seconds without any progress after which a run counts as hung."""
_WARM_UP = 3


def run_process(
    command: Sequence[str | Path],
    environment: Mapping[str, str],
    request: Request,
    progress: Progress,
    *,
    emulated: bool,
    silence_limit: float = SILENCE_LIMIT,
) -> Returned:
    """Run one request.

    Args:
        command: A Python interpreter with its options; the runner and its job are appended.
        environment: The whole environment of the process.
        request: What to run.
        progress: Told about images done.
        emulated: Passed on to the result.
        silence_limit: Seconds without progress after which the process is killed.
    """
    with tempfile.TemporaryDirectory(prefix="hetero-") as name:
        folder = Path(name)
        job = _send(request, folder)
        errors = folder / "errors.txt"
        with errors.open("wb") as stream:
            status, hung = _watch(
                [*command, folder / "runner.py", job], environment, stream.fileno(), progress, silence_limit
            )
        if status or not (folder / "report.json").is_file():
            return Returned(error=_failure(status, hung, silence_limit, errors), emulated=emulated)
        return _fetch(folder, emulated)


def clean_environment(**added: str) -> dict[str, str]:
    """An environment without settings that reach into a runtime: libraries, Python and BLAS options of this shell."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "PATH", "TMPDIR", "SYSTEMROOT") if name in os.environ}
    return {**kept, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **added}


def _send(request: Request, folder: Path) -> Path:
    shutil.copy(Path(device_tests.runner.__file__), folder / "runner.py")
    np.save(folder / "images.npy", request.images)
    job = {
        "runtime": request.runtime,
        "model": str(request.model.resolve()),
        "images": str(folder / "images.npy"),
        "output": str(folder / "embeddings.npy"),
        "report": str(folder / "report.json"),
        "warm_up": _WARM_UP,
    }
    path = folder / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    return path


def _watch(
    command: Sequence[str | Path], environment: Mapping[str, str], errors: int, progress: Progress, limit: float
) -> tuple[int, bool]:
    """Pass progress on and kill a silent process; returns its exit status and whether it was killed."""
    hung = threading.Event()
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
    ) as process:

        def give_up() -> None:
            hung.set()
            process.kill()

        assert process.stdout is not None
        timer = _started(limit, give_up)
        try:
            for line in process.stdout:
                timer.cancel()
                timer = _started(limit, give_up)
                done, _, total = line.strip().partition(" ")
                if done.isdigit() and total.isdigit():
                    progress(int(done), int(total))
            process.wait()
        finally:
            timer.cancel()
            process.kill()
    return process.returncode, hung.is_set()


def _started(seconds: float, action: Callable[[], None]) -> threading.Timer:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()
    return timer


def _failure(status: int, hung: bool, limit: float, errors: Path) -> str:
    said = [line for line in errors.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    last = said[-1].strip()[:500] if said else "it said nothing"
    if hung:
        return f"no progress for {limit:.0f} s; killed"
    if status < 0:
        return f"the runtime crashed with {signal.Signals(-status).name}: {last}"
    # QEMU reports a guest's fatal signal as the shell does.
    if status > 128 and status - 128 in {int(value) for value in signal.Signals}:
        return f"the runtime crashed with {signal.Signals(status - 128).name}: {last}"
    return f"{last} (exit status {status})"


def _fetch(folder: Path, emulated: bool) -> Returned:
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    return Returned(
        embeddings=np.load(folder / "embeddings.npy", allow_pickle=False),
        runtime=f"{report['runtime']} {report['runtime_version']}",
        load_seconds=float(report["load_seconds"]),
        latency_seconds=np.asarray(report["latency_seconds"], np.float64),
        peak_memory_bytes=int(report["peak_memory_bytes"]),
        emulated=emulated,
    )
