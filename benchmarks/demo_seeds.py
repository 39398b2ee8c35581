"""The demo's figures over several seeds: everything from initial weights to batches changes with the seed.

    python benchmarks/demo_seeds.py --seeds 0 1 2 --parallel 2 --out runs/seeds

Runs already finished are not run again; `--summarise RUN ...` only reads runs that are there.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, stdev
from typing import Any


def run(root: Path, seed: int, threads: int) -> Path:
    """Run the demo up to its matrix, unless that is up to date."""
    out = root / str(seed)
    command = [sys.executable, "-m", "hetero", "demo", "--seed", str(seed), "--out", str(out), "--until", "evaluate"]
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
    return out


def figures(out: Path) -> dict[str, Any]:
    """One run's figures."""
    matrix = json.loads((out / "matrix.json").read_text(encoding="utf-8"))
    cells, costs = matrix["metrics"]["cmc@1"], matrix["costs"]
    rules = {rule["query_model"]: rule for rule in matrix["rules"] if rule["metric"] == "cmc@1"}
    cloud = matrix["models"][0]
    students = {
        name: {
            "symmetric": cells[name][name],
            "asymmetric": cells[name][cloud],
            "share_of_cloud": cells[name][cloud] / cells[cloud][cloud],
            "macs_ratio": costs[cloud]["macs"] / costs[name]["macs"],
            "rule_difference": [rules[name][key] for key in ("difference", "low", "high")],
            "rule": rules[name]["status"],
        }
        for name in matrix["models"][1:]
    }
    return {"seed": matrix["seed"], "cloud": cells[cloud][cloud], "students": students}


def spread(values: list[float]) -> str:
    return f"{mean(values):.3f} ± {stdev(values):.3f}" if len(values) > 1 else f"{values[0]:.3f}"


def table(runs: list[dict[str, Any]]) -> str:
    """Markdown: a row a model and seed, and the mean with its standard deviation."""
    lines = [
        "| model | seed | cmc@1, own gallery | cmc@1, cloud gallery | of the cloud's | cost | M(q,g) - M(q,q), 95 % |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [f"| cloud | {one['seed']} | {one['cloud']:.3f} | | 1 | 1 | |" for one in runs]
    lines.append(f"| **cloud** | all | {spread([one['cloud'] for one in runs])} | | | | |")
    for name in runs[0]["students"]:
        rows = [one["students"][name] for one in runs]
        for one, row in zip(runs, rows, strict=True):
            difference, low, high = row["rule_difference"]
            lines.append(
                f"| {name} | {one['seed']} | {row['symmetric']:.3f} | {row['asymmetric']:.3f} "
                f"| {row['share_of_cloud']:.3f} | 1/{row['macs_ratio']:.1f} "
                f"| {difference:+.3f} [{low:+.3f}, {high:+.3f}] {row['rule']} |"
            )
        columns = (spread([row[key] for row in rows]) for key in ("symmetric", "asymmetric", "share_of_cloud"))
        lines.append(f"| **{name}** | all | {' | '.join(columns)} | | |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=Path, default=Path("runs/seeds"))
    parser.add_argument("--parallel", type=int, default=1, help="runs at once")
    parser.add_argument("--threads", type=int, default=1, help="threads of each run")
    parser.add_argument("--summarise", type=Path, nargs="+", help="only read these finished runs")
    options = parser.parse_args()
    if options.summarise:
        outs = options.summarise
    else:
        with ThreadPoolExecutor(options.parallel) as pool:
            outs = list(pool.map(lambda seed: run(options.out, seed, options.threads), options.seeds))
    print(f"{platform.machine()} {platform.system()}, {datetime.now(UTC).date().isoformat()}\n")
    print(table(sorted((figures(out) for out in outs), key=lambda one: one["seed"])))


if __name__ == "__main__":
    main()
