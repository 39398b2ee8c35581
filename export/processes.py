"""Run conversions side by side, each in its own process, and collect what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from export.convert import Request, Result
from export.converter import ExportError
from hetero.files import read_json
from hetero.schema import parse

_AT_A_TIME = 2
_SHOWN_LINES = 25


@dataclass(frozen=True)
class _Running:
    request: Request
    process: subprocess.Popen[bytes]
    log: Path


def run_all(requests: Sequence[Request], work: Path, *, finished: Callable[[Request], None]) -> list[Result]:
    """Run every request; at most two at a time, and no more than there are cores.

    Args:
        requests: What to convert; the slowest first.
        work: An existing directory for logs and the converters' own temporary files.
        finished: Called after each.

    Returns:
        A result for each request, in their order.

    Raises:
        ExportError: When any failed: with the last lines of what each failed one printed.
    """
    waiting, running = list(requests), list[_Running]()
    done: dict[Request, Result | str] = {}
    try:
        while waiting or running:
            while waiting and len(running) < min(_AT_A_TIME, os.cpu_count() or 1):
                running.append(_start(waiting.pop(0), work))
            time.sleep(0.05)
            for one in [one for one in running if one.process.poll() is not None]:
                running.remove(one)
                done[one.request] = _outcome(one)
                finished(one.request)
    finally:
        for one in running:
            one.process.kill()
            one.process.wait()
    if problems := [outcome for outcome in done.values() if isinstance(outcome, str)]:
        raise ExportError("the export failed and wrote nothing:", problems)
    return [cast("Result", done[request]) for request in requests]


def _start(request: Request, work: Path) -> _Running:
    log = work / f"{Path(request.out).name}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            # -P: a file of the user's own that happens to be called onnx.py must not be imported.
            [sys.executable, "-P", "-m", "export.convert"],
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=_environment(work),
        )
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(asdict(request)).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # It died at once; its log says why.
    return _Running(request, process, log)


def _environment(work: Path) -> dict[str, str]:
    here = str(Path(__file__).resolve().parent.parent)
    path = os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])
    # Sets are iterated in hash order: a fixed seed keeps converted files equal from run to run.
    fixed = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "TMPDIR": str(work), "PYTHONPATH": path}
    return os.environ | fixed


def _outcome(one: _Running) -> Result | str:
    assert one.process.stdin is not None
    one.process.stdin.close()
    name, result = f"{one.request.format} {one.request.precision}", Path(one.request.result)
    if not result.is_file():
        printed = one.log.read_text(errors="replace").strip().splitlines()[-_SHOWN_LINES:]
        tail = "\n".join(f"      {line}" for line in printed)
        return f"{name}: the converter ended with status {one.process.returncode}; its last words:\n{tail}"
    value = cast("dict[str, Any]", read_json(result))
    return f"{name}: {value['error']}" if "error" in value else parse(Result, value, what=f"the result of {name}")
