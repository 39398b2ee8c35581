"""Run conversions side by side, each format in its own process, and collect what they say."""

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
"""What a converter takes at most for a small model: about 1.3 GB, nearly all of it the packages themselves."""
_SHOWN_LINES = 25

Outcomes = dict[tuple[str, Precision], Result | str]
"""A result for each file, or why there is none."""
Finished = Callable[[str, Precision], None]


@dataclass(frozen=True)
class _Running:
    request: Request
    process: subprocess.Popen[bytes]
    log: Path
    told: set[Precision] = field(default_factory=set[Precision])


def run_all(requests: Sequence[Request], *, finished: Finished) -> Outcomes:
    """Run every request; two at a time where cores and memory allow, otherwise one.

    Args:
        requests: What to convert; the slowest first.
        finished: Called for each file as it is done.
    """
    waiting, running = list(requests), list[_Running]()
    outcomes: Outcomes = {}
    try:
        while waiting or running:
            while waiting and (not running or len(running) < _at_a_time()):
                running.append(_start(waiting.pop(0)))
            time.sleep(0.05)
            for one in [*running]:
                ended = one.process.poll() is not None
                _tell(one, finished, ended=ended)
                if ended:
                    running.remove(one)
                    outcomes |= _outcomes(one)
    finally:
        for one in running:
            one.process.kill()
            one.process.wait()
    return outcomes


def _at_a_time() -> int:
    """How many processes may run, this moment's free memory considered."""
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
        pass  # It died at once; its log says why.
    return _Running(request, process, log)


def _environment(work: str) -> dict[str, str]:
    here = str(Path(export.__file__).resolve().parents[1])
    variables = children.environment()
    path = os.pathsep.join([here, *filter(None, [variables.get("PYTHONPATH")])])
    # Sets are iterated in hash order: a fixed seed keeps converted files equal from run to run.
    fixed = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "TMPDIR": work, "PYTHONPATH": path}
    return variables | fixed


def _tell(one: _Running, finished: Finished, *, ended: bool) -> None:
    """Report the files that are done, or that will not come any more."""
    for precision in one.request.files:
        if precision not in one.told and (ended or one.request.result(precision).is_file()):
            one.told.add(precision)
            finished(one.request.format, precision)


def _outcomes(one: _Running) -> Outcomes:
    assert one.process.stdin is not None
    one.process.stdin.close()
    return {(one.request.format, precision): _outcome(one, precision) for precision in one.request.files}


def _outcome(one: _Running, precision: Precision) -> Result | str:
    outcome = one.request.outcome(precision)
    if outcome is not None:
        return outcome
    printed = one.log.read_text(errors="replace").strip().splitlines()[-_SHOWN_LINES:]
    tail = "\n".join(f"      {line}" for line in printed)
    return f"the converter ended with status {one.process.returncode}; its last words:\n{tail}"
