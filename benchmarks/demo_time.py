"""How long `make demo` takes from a fresh clone with an empty cache: installing, and each stage.

    python benchmarks/demo_time.py --json demo_time.json

Stages run side by side: their seconds do not add up to the whole. A record says how busy the machine was; what a first
start compiles is part of it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Run by its path, from the clone that is measured.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.machine import where_and_when  # noqa: E402
from hetero.files import read_json, write_json  # noqa: E402

_BEGUN = re.compile(r"^\[\d+/\d+\] (?P<stage>.+) \.\.\.$")
_DONE = re.compile(r"^\[\d+/\d+\] (?P<stage>.+): done in \d+ s$")


def demo(clone: Path, cache: Path) -> Iterator[tuple[float, str]]:
    """Run it; yields each line with the seconds since the start.

    Raises:
        CalledProcessError: When it fails.
    """
    started = time.monotonic()
    command = ["make", "demo"]
    environment = os.environ | {"HETERO_CACHE": str(cache)}
    with subprocess.Popen(
        command, cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            yield time.monotonic() - started, line.rstrip()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    yield time.monotonic() - started, ""


def timeline(lines: Iterator[tuple[float, str]]) -> dict[str, Any]:
    """Seconds until the first stage began, from when to when each ran, and of the whole.

    Raises:
        ValueError: When no stage began.
    """
    begun: dict[str, float] = {}
    stages: dict[str, list[float]] = {}
    now = 0.0
    for now, line in lines:
        if found := _BEGUN.match(line):
            begun[found["stage"]] = now
        elif found := _DONE.match(line):
            stages[found["stage"]] = [round(begun[found["stage"]]), round(now)]
    if not begun:
        raise ValueError("no stage began; expected a run with an empty cache in a fresh clone")
    return {"installed": round(min(begun.values())), "stages": stages, "seconds": round(now)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the record here")
    chosen = parser.parse_args()
    about = where_and_when()
    with tempfile.TemporaryDirectory(prefix="hetero-demo-") as name:
        clone = Path(name) / "clone"
        here = Path(__file__).resolve().parent.parent
        subprocess.run(["git", "clone", "--quiet", str(here), str(clone)], check=True)
        record = about | timeline(demo(clone, Path(name) / "cache"))
        run = clone / "runs" / "demo"
        matrix = read_json(run / "matrix.json")
        record["map@r"] = matrix["metrics"]["map@r"]
        record["headlines"] = [one["line"] for one in read_json(run / "verification" / "summary.json")["headlines"]]
    print(json.dumps(record, indent=2))
    if chosen.json:
        write_json(chosen.json, record)


if __name__ == "__main__":
    main()
