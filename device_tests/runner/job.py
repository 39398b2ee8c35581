"""One job: read it, do it, and leave a report."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from . import NOT_VERIFIED
from .embedding import embed_job
from .stopwatch import time_models


def run_job(runtime: str, path: str, import_seconds: float) -> int:
    """Run the job of a file with the engine called ``runtime``; returns the exit status."""
    with open(path, encoding="utf-8") as stream:  # noqa: PTH123 - fewer imports start faster on a device
        job = json.load(stream)
    errors = os.open(job["errors"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(errors, 2)  # Runtimes write there by themselves, too.
    try:
        report = time_models(runtime, job) if "models" in job else embed_job(runtime, job, import_seconds)
        _write(report, job["report"])
    except Exception as error:
        if getattr(error, "exit_code", 1) == NOT_VERIFIED:
            sys.stderr.write(f"{error}\n")
            return NOT_VERIFIED
        traceback.print_exc()
        return 1
    finally:
        sys.stderr.flush()
    return 0


def _write(report: dict[str, Any], path: str) -> None:
    unfinished = f"{path}.part"
    with open(unfinished, "w", encoding="utf-8") as stream:  # noqa: PTH123
        json.dump(report, stream)
    os.replace(unfinished, path)  # noqa: PTH105
