"""How long do many candidates take, and how much memory? A search whose supernet is trained, with nothing known before.

    hetero search demo-search --jobs 2 --out runs/demo-search
    python benchmarks/search_speed.py runs/demo-search --candidates 1000 --jobs 2

Evolution within a share of the cloud's multiply-accumulates, on cached cloud embeddings. A tenth of the search comes
first: when memory does not grow with the number of candidates, its peak is that of the whole.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# The repository instead of this folder: a module here is called export, too.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.machine import peak_resident_bytes, where_and_when  # noqa: E402
from hetero.files import read_json  # noqa: E402
from hetero.nas import (  # noqa: E402
    AlgorithmConfig,
    Budget,
    CostModel,
    Search,
    SupernetReward,
    WorkersConfig,
)
from hetero.nas.evaluation.evaluations import Evaluations  # noqa: E402
from hetero.nas.evaluation.workers import workers  # noqa: E402
from hetero.nas.supernet.directory import load_supernet  # noqa: E402

POPULATION = 50


def timed(run: Path, candidates: int, share: int, jobs: int) -> dict[str, Any]:
    """Search once."""
    frame = load_supernet(run / "supernet").frame
    macs = float(read_json(run / "cloud" / "metrics.json")["macs"])
    search = Search(
        frame.space,
        {"phone": Budget.parse(f"macs <= {macs / share!r}")},
        CostModel(frame.space, frame.preprocessing, frame.dimension),
        AlgorithmConfig(population=min(POPULATION, candidates), generations=max(1, candidates // POPULATION)),
        "r2",
    )
    reward = SupernetReward.of(run / "supernet")
    started, before = time.perf_counter(), processor_seconds()
    with tempfile.TemporaryDirectory() as folder, workers(reward, WorkersConfig(processes=jobs)) as some:
        evaluations = Evaluations(Path(folder), reward.digest)
        search.run(evaluations, some)
    return {
        "candidates": len(evaluations),
        "seconds": round(time.perf_counter() - started, 3),
        "processor_seconds": round(processor_seconds() - before, 3),
        "megabytes": round(peak_resident_bytes() / 1e6),
        "megabytes_of_a_worker": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6),
    }


def processor_seconds() -> float:
    """Of this process and of the workers that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("run", type=Path, help="with a trained cloud and supernet")
    parser.add_argument("--candidates", type=int, default=1000)
    parser.add_argument("--share", type=int, default=20, help="of the cloud's cost: 1/20, ...")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    counts = (max(1, options.candidates // 10), options.candidates)
    found = [timed(options.run, count, options.share, options.jobs) for count in counts]
    print(json.dumps({**where_and_when(), "jobs": options.jobs, "share": options.share, "searches": found}, indent=2))


if __name__ == "__main__":
    main()
