"""Run conversions in parallel, each format in its own process, and collect the results."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import export
from export.conversion.request import Request, Result
from export.kinds.precision import Precision
from hetero.processes import children

_AT_A_TIME = 2
_MEMORY_EACH = 2 << 30
"""Upper estimate of a converter's memory for a small model: about 1.3 GB, nearly all of it the packages themselves."""
_SHOWN_LINES = 25

Outcomes = dict[tuple[str, Precision], Result | str]
"""A result for each file, or the reason why there is none."""
Finished = Callable[[str, Precision], None]


@dataclass(frozen=True)
class _Running:
    request: Request
    process: subprocess.Popen[bytes]
    log: Path
    told: set[Precision] = field(default_factory=set[Precision])


def run_all(requests: Sequence[Request], *, finished: Finished) -> Outcomes:
    """Run every request; two at a time if cores and memory allow, otherwise one.

    Args:
        requests: Requests to convert; the slowest first.
        finished: Called for each file when it is done.
    """
    waiting, running = list(requests), list[_Running]()
    outcomes: Outcomes = {}
    try:
        while waiting or running:
            while waiting and (not running or len(running) < _at_a_time()):
                running.append(_start(waiting.pop(0)))
            time.sleep(0.05)
            for process in [*running]:
                ended = process.process.poll() is not None
                _tell(process, finished, ended=ended)
                if ended:
                    running.remove(process)
                    outcomes |= _outcomes(process)
    finally:
        for process in running:
            process.process.kill()
            process.process.wait()
    return outcomes


def _at_a_time() -> int:
    """Return how many processes may run, given the memory that is free now."""
    lines = path.read_text(encoding="ascii").splitlines() if (path := Path("/proc/meminfo")).is_file() else []
    free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
    running_fits = _AT_A_TIME if free is None or free > _MEMORY_EACH else 1
    return min(running_fits, os.cpu_count() or 1)


def _start(request: Request) -> _Running:
    log = Path(request.work) / f"{request.format}.log"
    with log.open("wb") as stream:
        process = children.start(
            children.python("-m", "export.conversion.worker"),
            folder=Path(request.work),
            variables=_environment(request.work),
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(asdict(request)).encode() + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        pass  # it died at once; its log tells why
    return _Running(request, process, log)


def _environment(work: str) -> dict[str, str]:
    here = str(Path(export.__file__).resolve().parents[1])
    variables = children.environment()
    path = os.pathsep.join([here, *filter(None, [variables.get("PYTHONPATH")])])
    # Sets are iterated in hash order: a fixed seed keeps converted files equal from run to run.
    fixed = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "TMPDIR": work, "PYTHONPATH": path}
    return variables | fixed


def _tell(process: _Running, finished: Finished, *, ended: bool) -> None:
    """Report the files that are done, or that can no longer come."""
    for precision in process.request.files:
        if precision not in process.told and (ended or process.request.result(precision).is_file()):
            process.told.add(precision)
            finished(process.request.format, precision)


def _outcomes(process: _Running) -> Outcomes:
    assert process.process.stdin is not None
    process.process.stdin.close()
    return {(process.request.format, precision): _outcome(process, precision) for precision in process.request.files}


def _outcome(process: _Running, precision: Precision) -> Result | str:
    outcome = process.request.outcome(precision)
    if outcome is not None:
        return outcome
    printed = process.log.read_text(errors="replace").strip().splitlines()[-_SHOWN_LINES:]
    tail = "\n".join(f"      {line}" for line in printed)
    return f"the converter ended with status {process.process.returncode}; its last words:\n{tail}"
