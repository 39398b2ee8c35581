"""The input and the output of a runner, the same on this machine, on a phone and in a browser."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import device_tests.runner
from device_tests.runner import NOT_VERIFIED
from device_tests.targets.session import Ending, failure, last_line
from device_tests.targets.target import Request, Returned, Timed, Timing
from hetero.foreign import strict_json
from hetero.processes import children

OUTPUT, REPORT, ERRORS, SEARCH = "output.npz", "report.json", "errors.txt", "search"
"""Names of the runner's output files in a job's folder."""
RUNNER = Path(device_tests.runner.__file__).parent
"""The folder that travels."""
_WARM_UP = 3


def runner_files() -> dict[str, bytes]:
    """Return the runner's files by name."""
    return {path.name: path.read_bytes() for path in sorted(RUNNER.glob("*.py"))}


def job_text(request: Request, folder: str, model: str, images: str, originals: Sequence[str], graph: str = "") -> str:
    """Return the content of the job file.

    Args:
        request: The request to run.
        folder: The folder for the runner's output; this and the following paths as the runner sees them.
        model: The model's file.
        images: The images' file, ``.npy``.
        originals: Files of the request's originals, in order.
        graph: The file of the request's gallery; empty without one.
    """
    gallery = request.gallery and {**vars(request.gallery), "graph": graph, "scratch": f"{folder}/{SEARCH}"}
    job = {
        "model": model,
        "images": images,
        "output": f"{folder}/{OUTPUT}",
        "report": f"{folder}/{REPORT}",
        "errors": f"{folder}/{ERRORS}",
        **job_settings(request),
        "originals": [
            {"file": file, "image": one.image} for file, one in zip(originals, request.originals, strict=True)
        ],
        "gallery": gallery,
    }
    return json.dumps(job)


def timing_text(timing: Timing, folder: str, models: Sequence[str]) -> str:
    """Return the content of the job file for timing models.

    Args:
        timing: The models to time.
        folder: The folder for the runner's output; this and the following paths as the runner sees them.
        models: The models' files.
    """
    job = {
        "models": list(models),
        "report": f"{folder}/{REPORT}",
        "errors": f"{folder}/{ERRORS}",
        "runs": timing.runs,
        "at_least_seconds": timing.at_least_seconds,
    }
    return json.dumps(job)


def job_settings(request: Request) -> dict[str, Any]:
    """Return the part of a job that does not depend on where its files are."""
    contract = request.preprocessing.to_dict() if request.preprocessing is not None else {}
    return {"warm_up": _WARM_UP, "settings": dict(request.settings), "contract": contract}


def failed_in(folder: Path, ending: Ending) -> tuple[str, bool]:
    """Judge how a job ended by the runner's output in a folder of this machine.

    Returns:
        The error, or nothing; and True if it says nothing about the model.
    """
    if not ending.status and ending.session_said is None and (folder / REPORT).is_file():
        return "", False
    errors = (folder / ERRORS).read_bytes() if (folder / ERRORS).is_file() else b""
    unknown = ending.status == NOT_VERIFIED and not ending.given_up and ending.session_said is None
    return last_line(errors) if unknown else failure(ending, errors), unknown


def returned_in(folder: Path, *, emulated: bool) -> Returned:
    """Read the runner's output from a folder of this machine."""
    report = strict_json((folder / REPORT).read_bytes(), what=REPORT)
    with np.load(folder / OUTPUT, allow_pickle=False) as arrays:
        content = {name: arrays[name] for name in arrays.files}
    return Returned(
        embeddings=content["embeddings"],
        runtime=f"{report['runtime']} {report['runtime_version']}",
        load_seconds=float(report["load_seconds"]),
        latency_seconds=np.asarray(report["latency_seconds"], np.float64),
        peak_memory_bytes=int(report["peak_memory_bytes"]),
        emulated=emulated,
        tensors=tuple((str(name), str(kind), float(scale), int(zero)) for name, kind, scale, zero in report["tensors"]),
        certifies=report["certifies"],
        decoder=report["decoder"],
        pixels=content.get("pixels"),
        decode_errors=tuple(report["decode_errors"]),
        pixel_embeddings=content.get("pixel_embeddings"),
        incomplete=bool(report["incomplete"]),
        near=content.get("near"),
        exact=content.get("exact"),
        gallery_error=str(report["gallery_error"]),
        gallery_lacks=bool(report["gallery_lacks"]),
    )


def timed_in(folder: Path) -> Timed:
    """Read the runner's output for timed models from a folder of this machine."""
    report = strict_json((folder / REPORT).read_bytes(), what=REPORT)
    return Timed(tuple(map(float, report["seconds"])), str(report["runtime_version"]))


def clean_environment(**added: str) -> Mapping[str, str]:
    """Return an environment without this shell's settings that affect a runtime: libraries, Python and BLAS options."""
    environment = children.environment()
    variables = {
        name: environment[name] for name in ("HOME", "LANG", "PATH", "TMPDIR", "SYSTEMROOT") if name in environment
    }
    return {**variables, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **added}
