"""What a million images in tar shards cost: index, opening, splits and batches, and the check of every image.

    python -m benchmarks.shards.write /data/million
    python -m benchmarks.shards.million /data/million

Each stage runs in a process of its own, so that its peak of memory is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.machine import peak_resident_bytes, where_and_when
from hetero import DataConfig, Preprocessing, TrainingConfig, prepare
from hetero.data.checking.check import check
from hetero.data.index.build import index_of
from hetero.training.batches.sampling import sampler_of

STAGES = ("index", "open", "prepare", "sample", "read", "check")
SIZE = Preprocessing(32, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--stage", choices=STAGES)
    parser.add_argument("--stages", nargs="+", default=STAGES)
    options = parser.parse_args()
    if options.stage:
        print(json.dumps(_measured(options.stage, options.shards)))
        return
    with tempfile.TemporaryDirectory() as place:
        environment = {**os.environ, "HETERO_CACHE": str(options.cache or place), "HETERO_PROGRESS": "quiet"}
        command = [sys.executable, "-m", "benchmarks.shards.million", str(options.shards), "--stage"]
        figures = {
            stage: json.loads(subprocess.check_output([*command, stage], env=environment)) for stage in options.stages
        }
    print(json.dumps({**figures, **where_and_when()}, indent=2))


def _measured(stage: str, shards: Path) -> dict[str, float]:
    config = DataConfig(kind="webdataset", path=str(shards))
    cache = Path(os.environ["HETERO_CACHE"])
    stages: dict[str, Callable[[], int]] = {
        "index": lambda: len(index_of(config, cache)),
        "open": lambda: len(index_of(config, cache)),
        "prepare": lambda: len(prepare(config, SIZE, cache=cache).train),
        "sample": lambda: _sampled(config, cache),
        "read": lambda: _read(config, cache),
        "check": lambda: sum(split.images for split in check(config).splits.values()),
    }
    before = peak_resident_bytes()
    wall, cpu = time.perf_counter(), time.process_time()
    images = stages[stage]()
    return {
        "images": images,
        "wall_seconds": round(time.perf_counter() - wall, 2),
        "cpu_seconds": round(time.process_time() - cpu, 2),
        "peak_mb": round(peak_resident_bytes() / 1e6),
        "peak_before_mb": round(before / 1e6),
    }


def _sampled(config: DataConfig, cache: Path) -> int:
    """Prepare, and draw class-balanced batches."""
    train = prepare(config, SIZE, cache=cache).train
    labels = np.asarray(train.labels)
    sampler = sampler_of(TrainingConfig(), labels, np.arange(len(train)), by_class=True, seed=0)
    for step in range(100):
        sampler.batch(step)
    return 100 * sampler.batch_size


def _read(config: DataConfig, cache: Path) -> int:
    """Prepare, and read batches at random."""
    train = prepare(config, SIZE, cache=cache).train
    generator = np.random.default_rng(0)
    for _ in range(50):
        train.images[generator.integers(0, len(train), 1024)]
    return 50 * 1024


if __name__ == "__main__":
    main()
