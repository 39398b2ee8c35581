"""Look for bytes that a reader neither reads nor refuses, guided by the code that they reach.

    python -m benchmarks.fuzz --seconds 600                  # of each target
    python -m benchmarks.fuzz --seconds 60 manifest npy --corpus runs/fuzz

Each target of ``tests/fuzz/targets.py`` has a process of its own. What is found lies in the corpus's folder
``findings/TARGET`` and goes into the tests; the corpus itself is where the next run goes on. Needs Linux and atheris
(the extra ``dev``). Ends with status 1 when there is a finding.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SECONDS, MEMORY_BYTES = 20, 4 << 30
"""That one input may take."""
_LARGEST = 1 << 16
_OURS = ["hetero", "export", "device_tests", "tomllib"]
_DONE, _REACHED = re.compile(r"Done (\d+) runs"), re.compile(r"cov: (\d+)")


@dataclass(frozen=True)
class Outcome:
    """What fuzzing a target came to.

    Attributes:
        target: Its name.
        inputs: How many were tried.
        reached: Places in the code that they reached.
        finding: Why it ended early; empty when it did not.
    """

    target: str
    inputs: int
    reached: int
    finding: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--seconds", type=int, default=60, help="of each target")
    parser.add_argument("--inputs", type=int, default=-1, help="most of each target")
    parser.add_argument("--corpus", type=Path, default=Path("runs/fuzz"))
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    limits = {"max_total_time": options.seconds, "runs": options.inputs, "seed": options.seed}
    found = fuzz_all(options.targets, options.corpus, limits)
    sys.exit(any(outcome.finding for outcome in found))


def fuzz_all(targets: list[str], corpus: Path, limits: Mapping[str, int]) -> list[Outcome]:
    """Fuzz targets one after another, and print a line for each.

    Args:
        targets: Their names; none for all.
        corpus: A folder for inputs that reach something new, and for findings.
        limits: Options of libFuzzer by name.
    """
    import atheris

    with atheris.instrument_imports(include=_OURS, enable_loader_override=False):
        from tests.fuzz.targets import TARGETS
    found: list[Outcome] = []
    for name in targets or TARGETS:
        start = time.perf_counter()
        outcome = _fuzz(name, corpus.absolute(), limits)
        found.append(outcome)
        told = outcome.finding or f"{outcome.inputs:,} inputs, {outcome.reached:,} places reached"
        print(f"{name:16} {time.perf_counter() - start:6.1f} s  {told}", flush=True)
    return found


def _fuzz(name: str, corpus: Path, limits: Mapping[str, int]) -> Outcome:
    """In a copy of this process: libFuzzer ends the process that it runs in."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            try:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
                _run(name, corpus, limits, Path(folder))
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        said.seek(0)
        text = said.read().decode(errors="replace")
    done, reached = _DONE.search(text), _REACHED.findall(text)
    finding = "" if status == 0 and done else _finding(text, status)
    return Outcome(name, int(done[1]) if done else 0, int(reached[-1]) if reached else 0, finding)


def _run(name: str, corpus: Path, limits: Mapping[str, int], folder: Path) -> None:
    import atheris

    from tests.fuzz.targets import TARGETS

    target, held, findings = TARGETS[name], corpus / name, corpus / "findings" / name
    for place in (held, findings):
        place.mkdir(parents=True, exist_ok=True)
    for seed_name, data in target.seeds().items():
        (held / f"seed {seed_name}").write_bytes(data)
    target.prepare(folder)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    settings = {
        **limits,
        "timeout": SECONDS,
        "rss_limit_mb": MEMORY_BYTES >> 20,
        "max_len": _LARGEST,
        "artifact_prefix": f"{findings}/",
    }
    options = [f"-{option}={value}" for option, value in settings.items()]

    def one(data: bytes) -> None:
        target.one(folder, data)

    atheris.Setup(["fuzz", *options, str(held)], one)
    atheris.Fuzz()


def _finding(text: str, status: int) -> str:
    """The exception, or what libFuzzer says of a crash, a hang or too much memory."""
    lines = [line for line in text.splitlines() if line.strip()]
    after = [lines[place + 1] for place, line in enumerate(lines[:-1]) if "Uncaught Python exception" in line]
    errors = [line for line in lines if "ERROR: libFuzzer" in line]
    written = [line for line in lines if "Test unit written to" in line]
    return "; ".join([*(after or errors or lines[-1:] or [f"status {status}"])[:1], *written[-1:]])


if __name__ == "__main__":
    main()
