"""What it costs to know files by what they hold: the first start, the next ones, and opening decoded images.

    python benchmarks/data_start.py --files 20000 --kilobytes 50 --decoded-gb 1

Files of random bytes stand for images: they are read and compared, not decoded.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

# The repository instead of this folder: a module here is called export, too.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks.machine import where_and_when  # noqa: E402
from hetero.data import contents  # noqa: E402
from hetero.data.decoding.decoded_files import DecodedRecord, kept_whole, write_record  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--files", type=int, default=20000)
    parser.add_argument("--kilobytes", type=int, default=50, help="size of each file")
    parser.add_argument("--decoded-gb", type=float, default=1.0, help="size of the decoded set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    generator = np.random.default_rng(options.seed)
    contents.SETTLED_SECONDS = 0.0
    with tempfile.TemporaryDirectory() as place:
        files = _files(Path(place) / "images", options.files, 1000 * options.kilobytes, generator)
        cache = Path(place) / "cache"
        first = _seconds(lambda: contents.contents(files, cache, progress=""))
        again = [_seconds(lambda: contents.contents(files, cache, progress="")) for _ in range(options.rounds)]
        stats = [_seconds(lambda: [file.stat() for file in files]) for _ in range(options.rounds)]
        shape = (int(options.decoded_gb * 1e9 / (64 * 64 * 3)), 64, 64, 3)
        decoded = Path(place) / "decoded"
        decoded.mkdir()
        np.save(decoded / "images.npy", generator.integers(0, 256, shape, np.uint8))
        write_record(decoded, DecodedRecord(shape[0], {}))
        opened = [_seconds(lambda: kept_whole(decoded, shape)) for _ in range(options.rounds)]
    figures = {
        "files": options.files,
        "kilobytes": options.kilobytes,
        "first_start": first,
        "next_starts": again,
        "asking_for_sizes_and_times_alone": stats,
        "decoded_gb": options.decoded_gb,
        "opening_decoded": opened,
        "seed": options.seed,
        **where_and_when(),
    }
    json.dump(figures, sys.stdout, indent=2)
    print()


def _files(folder: Path, count: int, size: int, generator: np.random.Generator) -> list[Path]:
    files: list[Path] = []
    for number in range(count):
        path = folder / f"{number % 100:02}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(generator.bytes(size))
        files.append(path)
    os.sync()
    return files


def _seconds(call: Callable[[], object]) -> dict[str, float]:
    start = time.perf_counter(), time.process_time()
    call()
    return {
        "seconds": round(time.perf_counter() - start[0], 2),
        "processor_seconds": round(time.process_time() - start[1], 2),
    }


if __name__ == "__main__":
    main()
