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
from typing import Any

import numpy as np

import device_tests.runner
from device_tests.targets.target import Progress, Request, Returned

SILENCE_LIMIT = 600.0
"""Seconds without any progress after which a run counts as hung."""
OUTPUT, REPORT = "output.npz", "report.json"
"""What the runner leaves."""
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
        if status or not (folder / REPORT).is_file():
            unknown = status == device_tests.runner.NOT_VERIFIED and not hung
            failure = _last_line(errors) if unknown else _failure(status, hung, silence_limit, errors)
            return Returned(error=failure, not_verified=unknown, emulated=emulated)
        return fetch(folder, emulated=emulated)


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
        "output": str(folder / OUTPUT),
        "report": str(folder / REPORT),
        **job_settings(request),
        "originals": [{"file": str(one.file.resolve()), "image": one.image} for one in request.originals],
    }
    path = folder / "job.json"
    path.write_text(json.dumps(job), encoding="utf-8")
    return path


def job_settings(request: Request) -> dict[str, Any]:
    """The part of a job that is the same wherever its files lie."""
    contract = request.preprocessing.to_dict() if request.preprocessing is not None else {}
    return {"warm_up": _WARM_UP, "settings": dict(request.settings), "contract": contract}


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
    last = _last_line(errors)
    if hung:
        return f"no progress for {limit:.0f} s; killed"
    if status < 0:
        return f"the runtime crashed with {signal.Signals(-status).name}: {last}"
    # QEMU reports a guest's fatal signal as the shell does.
    if status > 128 and status - 128 in {int(value) for value in signal.Signals}:
        return f"the runtime crashed with {signal.Signals(status - 128).name}: {last}"
    return f"{last} (exit status {status})"


def _last_line(errors: Path) -> str:
    said = [line for line in errors.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return said[-1].strip()[:500] if said else "it said nothing"


def fetch(folder: Path, *, emulated: bool) -> Returned:
    """Read what the runner left in a folder."""
    report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    with np.load(folder / OUTPUT, allow_pickle=False) as arrays:
        held = {name: arrays[name] for name in arrays.files}
    return Returned(
        embeddings=held["embeddings"],
        runtime=f"{report['runtime']} {report['runtime_version']}",
        load_seconds=float(report["load_seconds"]),
        latency_seconds=np.asarray(report["latency_seconds"], np.float64),
        peak_memory_bytes=int(report["peak_memory_bytes"]),
        emulated=emulated,
        certifies=report["certifies"],
        decoder=report["decoder"],
        pixels=held.get("pixels"),
        pixel_embeddings=held.get("pixel_embeddings"),
    )
