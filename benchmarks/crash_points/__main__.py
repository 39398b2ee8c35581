"""``python -m benchmarks.crash_points``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.crash_points.bench import Bench
from benchmarks.crash_points.commands import CASES


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash_points", description="Kill commands.")
    parser.add_argument("--points", type=int, default=1000, help="kills in all; 0 for every one")
    parser.add_argument("--commands", nargs="+", default=[case.name for case in CASES], help="some of them only")
    parser.add_argument("--json", type=Path, help="also write the figures and findings here")
    options = parser.parse_args()
    chosen = [case for case in CASES if case.name in options.commands]
    with tempfile.TemporaryDirectory(prefix="crash-points-") as folder:
        bench = Bench(Path(folder), chosen)
        return bench.run(chosen, options.points, options.json)


if __name__ == "__main__":
    sys.exit(main())
