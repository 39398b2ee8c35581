"""How long a verification takes beside an earlier version: nothing kept (cold), and everything kept (warm).

    python -m benchmarks.verify_speed BUNDLE... --before EARLIER/.venv-test/bin/python --json verify_speed.json

Both versions take turns on the same bundles, each with a cache of its own, so that what else the machine does meets
both alike; an idle machine is still needed, as runtimes take all cores. Ratios are medians over pairs, with the
quarters between which half of the pairs lie.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any

from benchmarks.machine import where_and_when
from hetero.files import write_json

_COMMAND = ("-P", "-m", "hetero", "verify")


def seconds(python: Path, bundles: Sequence[Path], cache: Path, *options: str) -> float:
    """How long it takes to verify once on the desktop.

    Raises:
        RuntimeError: When a verification ends with an error; a gate may fail.
    """
    with tempfile.TemporaryDirectory() as out:
        command = [python, *_COMMAND, *bundles, "--target", "desktop", "--out", out, *options]
        environment = os.environ | {"HETERO_CACHE": str(cache)}
        began = time.monotonic()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        ended = time.monotonic()
    if done.returncode not in (0, 1, 3):
        raise RuntimeError(done.stderr)
    return ended - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--before", type=Path, required=True, help="the Python that has the earlier version")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--json", type=Path, help="write the record here")
    chosen = parser.parse_args()
    bundles = [path.absolute() for path in chosen.bundles]
    pythons = {"before": chosen.before.absolute(), "now": Path(sys.executable)}
    kinds: dict[str, list[dict[str, float]]] = {"cold": [], "warm": []}
    with tempfile.TemporaryDirectory() as caches:
        for number in range(chosen.pairs + 1):
            order = list(pythons.items())[:: 1 if number % 2 else -1]
            for kind, options in (("cold", ["--again"]), ("warm", [])):
                pair = {name: seconds(python, bundles, Path(caches, name), *options) for name, python in order}
                if number:  # The first compiles modules.
                    kinds[kind].append(pair)
                    print(kind, {name: round(pair[name], 2) for name in pythons}, flush=True)
    record: dict[str, Any] = where_and_when() | {"pairs": chosen.pairs}
    for kind, pairs in kinds.items():
        low, middle, high = quantiles([pair["now"] / pair["before"] for pair in pairs], n=4)
        record[kind] = {"ratio": round(middle, 3), "quarters": [round(low, 3), round(high, 3)]}
    print(json.dumps(record, indent=2))
    if chosen.json:
        write_json(chosen.json, record | {"seconds": kinds})


if __name__ == "__main__":
    main()
