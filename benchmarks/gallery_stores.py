"""What the embedded gallery store costs beside usearch alone, and what it finds.

    python -m benchmarks.gallery_stores --vectors 100000

Vectors lie near a subspace of 24 of their 256 dimensions, as those of trained models do: in all directions alike, no
graph finds the nearest. Queries are drawn likewise and are not in the gallery. Both searches take the same graph, in
turns; time is that of the processor, since others may use the machine. Each part runs in a process of its own, whose
memory is its own.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import where_and_when
from hetero import EmbeddingSpace, open_gallery
from hetero.gallery.embedded.index import GRAPH
from hetero.gallery.engine import CONNECTIVITY, EXPANSION

DIMENSION, SUBSPACE, NOISE = 256, 24, 0.1
AT_ONCE, QUERIES, K = 10_000, 2_000, 10
EXACT, TURNS = 200, 5
SPACE = EmbeddingSpace.define(defined_by="benchmark", name="drawn", version="1", dimension=DIMENSION)


def drawn(count: int, seed: int) -> Iterator[np.ndarray]:
    """Unit vectors, float32, in blocks."""
    axes = np.random.default_rng(0).normal(size=(SUBSPACE, DIMENSION)).astype(np.float32) / SUBSPACE**0.5
    generator = np.random.default_rng([1, seed])
    for start in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - start)
        block = generator.standard_normal((size, SUBSPACE), np.float32) @ axes
        block += NOISE * generator.standard_normal((size, DIMENSION), np.float32)
        yield block / np.linalg.norm(block, axis=1, keepdims=True)


def resident_megabytes() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) // 1024


def timed(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the processor, and of the clock."""
    before, started = time.process_time(), time.perf_counter()
    action()
    return time.process_time() - before, time.perf_counter() - started


def graph() -> Any:
    from usearch.index import Index

    return Index(ndim=DIMENSION, metric="ip", dtype="f16", connectivity=CONNECTIVITY, expansion_add=EXPANSION)


def build_raw(count: int, seed: int, folder: Path) -> dict[str, Any]:
    """Of usearch alone, its vectors in memory and its file not safe from a kill."""

    def build() -> None:
        index, key = graph(), 1
        for block in drawn(count, seed):
            index.add(np.arange(key, key + len(block)), block, threads=1)
            key += len(block)
        index.save(str(folder / "raw.usearch"))

    processor, clock = timed(build)
    return {"build_processor_s": round(processor, 2), "build_clock_s": round(clock, 2)}


def build_store(count: int, seed: int, folder: Path) -> dict[str, Any]:
    def build() -> None:
        with open_gallery(f"usearch:{folder / 'gallery'}", SPACE) as store:
            for number, block in enumerate(drawn(count, seed)):
                store.add(block, [f"photos/{number:05d}/{row:05d}.jpg" for row in range(len(block))], SPACE)

    processor, clock = timed(build)
    sizes = {path.name: path.stat().st_size // 2**20 for path in (folder / "gallery").rglob("*") if path.is_file()}
    return {
        "build_processor_s": round(processor, 2),
        "build_clock_s": round(clock, 2),
        "resident_mb": resident_megabytes(),
        "mb": sizes,
    }


def search(count: int, seed: int, folder: Path, *, mapped: bool) -> dict[str, Any]:
    """Open, search and compare; ``mapped`` as a reader."""
    queries = np.concatenate(list(drawn(QUERIES, seed + 1)))
    before = resident_megabytes()
    opened: list[Any] = []

    def open_and_ask() -> None:
        opened.append(open_gallery(f"usearch:{folder / 'gallery'}", read_only=mapped))
        opened[0].search(queries[:1], K, SPACE)

    processor, clock = timed(open_and_ask)
    store = opened[0]
    figures: dict[str, Any] = {"open_processor_s": round(processor, 3), "open_clock_s": round(clock, 3)}
    figures["resident_mb"] = resident_megabytes() - before
    if mapped:
        return figures
    raw = graph()
    raw.load(str(next((folder / "gallery").glob(f"index-*/{GRAPH}"))))
    for size, effort in itertools.product((100, 1), (16, 64)):
        raw.expansion_search = effort
        blocks = [queries[start : start + size] for start in range(0, QUERIES if size > 1 else QUERIES // 4, size)]
        ways: list[Callable[[Any], object]] = [
            lambda block, effort=effort: store.search(block, K, SPACE, effort=effort),
            lambda block: raw.search(block, K, threads=1),
        ]
        # Others interrupt and evict: the least of several turns is what it takes.
        turns = [[[timed(functools.partial(way, block))[0] for way in ways] for block in blocks] for _ in range(TURNS)]
        own, alone = len(blocks) * size / np.min(turns, axis=0).sum(axis=0)
        figures[f"queries_per_s_of_{size}_effort_{effort}"] = {
            "store": round(own),
            "usearch": round(alone),
            "overhead": round(float(alone / own - 1), 3),
        }
    exact = store.search(queries[:EXACT], K, SPACE, effort="exact").ids
    for effort in (16, 64, 128):
        near = store.search(queries[:EXACT], K, SPACE, effort=effort).ids
        shared = [len({*a} & {*b}) / K for a, b in zip(exact, near, strict=True)]
        figures[f"recall@{K}_effort_{effort}"] = round(float(np.mean(shared)), 4)
    return figures


PARTS: dict[str, Callable[[int, int, Path], dict[str, Any]]] = {
    "usearch_alone": build_raw,
    "store": build_store,
    "loaded": lambda count, seed, folder: search(count, seed, folder, mapped=False),
    "mapped": lambda count, seed, folder: search(count, seed, folder, mapped=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without", nargs="*", default=[], choices=PARTS, help="parts to leave out")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="where the gallery is kept; a temporary folder by default")
    options = parser.parse_args()
    if options.part:
        print(json.dumps(PARTS[options.part](options.vectors, options.seed, options.folder)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        figures: dict[str, Any] = {"vectors": options.vectors, "dimension": DIMENSION, "seed": options.seed}
        for part in PARTS:
            if part not in options.without:
                command = [sys.executable, "-m", "benchmarks.gallery_stores", *sys.argv[1:], "--part", part]
                answer = subprocess.run([*command, "--folder", str(folder)], check=True, stdout=subprocess.PIPE)
                figures[part] = json.loads(answer.stdout)
        print(json.dumps({**where_and_when(), **figures}, indent=2))


if __name__ == "__main__":
    main()
