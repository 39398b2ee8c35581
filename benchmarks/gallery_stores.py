"""What the embedded gallery store costs beside usearch alone and hnswlib, and what it finds.

    python -m benchmarks.gallery_stores --vectors 100000
    python -m benchmarks.gallery_stores --vectors 1000000 --threads 2 --like runs/demo

Vectors and queries are those of ``benchmarks/gallery_vectors.py``; what is near is computed from the vectors, not asked
of the store. usearch alone searches the store's own graph; hnswlib, where it is installed, one of its own with as many
links, over float32, which is all it has. They take turns, each with all queries, so that none finds what it needs in
the cache because another has just read it. Searches take one thread. Time is that of the processor,
since others may use the machine. Each part runs in a process of its own, whose memory is its own.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gallery_vectors import (
    AT_ONCE,
    DIMENSION,
    QUERIES,
    DemoVectors,
    like_the_demo,
    near_subspace,
    stored,
    write,
)
from benchmarks.machine import peak_resident_bytes, where_and_when
from hetero import EmbeddingSpace, open_gallery
from hetero.gallery.engine import CONNECTIVITY, EXPANSION

K, TURNS, EFFORTS = 10, 9, (64, 128, 256, 512)
SPACE = EmbeddingSpace.define(defined_by="benchmark", name="drawn", version="1", dimension=DIMENSION)
NO_HNSWLIB = "not verified: hnswlib is not installed"


def name(row: int) -> str:
    return f"photos/{row // AT_ONCE:05d}/{row % AT_ONCE:05d}.jpg"


def resident_megabytes() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024 / 1e6


def timed(action: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the processor, and of the clock."""
    before, started = time.process_time(), time.perf_counter()
    action()
    return time.process_time() - before, time.perf_counter() - started


def graph() -> Any:
    from usearch.index import Index

    return Index(ndim=DIMENSION, metric="ip", dtype="f16", connectivity=CONNECTIVITY, expansion_add=EXPANSION)


def built(build: Callable[[], object]) -> dict[str, Any]:
    before = resident_megabytes()
    processor, clock = timed(build)
    return {
        "build_processor_s": round(processor, 1),
        "build_clock_s": round(clock, 1),
        "load": [round(value, 1) for value in os.getloadavg()],
        "peak_mb": round(peak_resident_bytes() / 1e6 - before),
        "resident_mb": round(resident_megabytes() - before),
    }


def draw(options: argparse.Namespace) -> dict[str, Any]:
    if options.like is None:
        queries = np.concatenate(list(near_subspace(QUERIES, options.seed + 1)))
        blocks = near_subspace(options.vectors, options.seed)
    else:
        demo = DemoVectors.read(options.like, options.student)
        blocks, queries = like_the_demo(demo, options.vectors, options.seed)
    write(options.folder, blocks, queries, K)
    return {"queries": len(queries)}


def build_usearch(options: argparse.Namespace) -> dict[str, Any]:
    """Of usearch alone; its file is not safe from a kill."""

    def build() -> None:
        index = graph()
        for number, block in enumerate(stored(options.folder)):
            index.add(np.arange(len(block)) + number * AT_ONCE, block, threads=options.threads)
        index.save(str(options.folder / "raw.usearch"))

    figures = built(build)
    (options.folder / "raw.usearch").unlink()
    return figures


def build_hnswlib(options: argparse.Namespace) -> Any:
    if importlib.util.find_spec("hnswlib") is None:
        return NO_HNSWLIB

    def build() -> None:
        index = _hnswlib()
        index.init_index(options.vectors, M=CONNECTIVITY, ef_construction=EXPANSION, random_seed=options.seed)
        for number, block in enumerate(stored(options.folder)):
            rows = np.arange(len(block)) + number * AT_ONCE
            index.add_items(block.astype(np.float32), rows, num_threads=options.threads)
        index.save_index(str(options.folder / "hnswlib"))

    return built(build) | {"mb": round((options.folder / "hnswlib").stat().st_size / 1e6)}


def build_store(options: argparse.Namespace) -> dict[str, Any]:
    def build() -> None:
        with open_gallery(f"usearch:{options.folder / 'gallery'}", SPACE) as store:
            for number, block in enumerate(stored(options.folder)):
                names = [name(row) for row in range(number * AT_ONCE, number * AT_ONCE + len(block))]
                store.add(block.astype(np.float32), names, SPACE)

    figures = built(build)
    files = [path for path in (options.folder / "gallery").rglob("*") if path.is_file()]
    return figures | {"mb": {path.name: round(path.stat().st_size / 1e6) for path in files}}


def open_mapped(options: argparse.Namespace) -> dict[str, Any]:
    return opened(options, read_only=True)[1]


def opened(options: argparse.Namespace, *, read_only: bool) -> tuple[Any, dict[str, Any]]:
    """Open the store and answer one query."""
    query, before, stores = np.load(options.folder / "queries.npy")[:1], resident_megabytes(), list[Any]()

    def open_and_ask() -> None:
        stores.append(open_gallery(f"usearch:{options.folder / 'gallery'}", read_only=read_only))
        stores[0].search(query, K, SPACE)

    processor, clock = timed(open_and_ask)
    return stores[0], {
        "open_processor_s": round(processor, 3),
        "open_clock_s": round(clock, 3),
        "resident_mb": round(resident_megabytes() - before),
        "peak_mb": round(peak_resident_bytes() / 1e6 - before),
    }


def search(options: argparse.Namespace) -> dict[str, Any]:
    """Open the store as a writer does, and compare."""
    store, figures = opened(options, read_only=False)
    [index] = store._engine._indexes.values()
    engines: dict[str, Callable[[np.ndarray, int], list[list[Any]]]] = {
        "store": lambda block, effort: store.search(block, K, SPACE, effort=effort).ids,
        "usearch": functools.partial(_ask_usearch, index._graph),
    }
    if (options.folder / "hnswlib").exists():
        other = _hnswlib()
        other.load_index(str(options.folder / "hnswlib"), max_elements=options.vectors)
        engines["hnswlib"] = functools.partial(_ask_hnswlib, other)
    queries, nearest = (np.load(options.folder / f"{part}.npy") for part in ("queries", "nearest"))
    for effort in EFFORTS:
        figures[f"recall@{K}_effort_{effort}"] = {
            engine: _recall(engine, ask(queries, effort), nearest) for engine, ask in engines.items()
        }
    for effort, size in itertools.product(EFFORTS[:2], (100, 1)):
        rates = _rates(engines, queries, size, effort)
        figures[f"queries_per_s_of_{size}_effort_{effort}"] = {
            **{engine: round(rate) for engine, rate in rates.items()},
            "overhead": round(rates["usearch"] / rates["store"] - 1, 3),
        }
    return figures


def _ask_usearch(index: Any, block: np.ndarray, effort: int) -> list[list[Any]]:
    index.expansion_search = effort
    return index.search(block, K, threads=1).keys


def _ask_hnswlib(index: Any, block: np.ndarray, effort: int) -> list[list[Any]]:
    index.set_ef(effort)
    return index.knn_query(block, K, num_threads=1)[0]


def _hnswlib() -> Any:
    from hnswlib import Index  # pyright: ignore[reportMissingModuleSource]

    return Index(space="ip", dim=DIMENSION)


def _recall(engine: str, answers: list[list[Any]], nearest: np.ndarray) -> float:
    # The store's first key is 1.
    called: dict[str, Callable[[int], Any]] = {"store": name, "usearch": lambda row: row + 1, "hnswlib": int}
    expected = [[called[engine](row) for row in rows] for rows in nearest.tolist()]
    return round(float(np.mean([len({*a} & {*b}) / K for a, b in zip(answers, expected, strict=True)])), 4)


def _rates(engines: Any, queries: np.ndarray, size: int, effort: int) -> dict[str, float]:
    blocks = [queries[start : start + size] for start in range(0, len(queries) if size > 1 else 300, size)]
    seconds = {engine: np.full(len(blocks), np.inf) for engine in engines}
    # Others interrupt and evict: the least of several turns is what it takes.
    for turn in range(TURNS):
        # Back and forth, so that each comes after each other.
        for engine in list(engines)[:: 1 if turn % 2 else -1]:
            spent = [timed(functools.partial(engines[engine], block, effort))[0] for block in blocks]
            seconds[engine] = np.minimum(seconds[engine], spent)
    return {engine: sum(map(len, blocks)) / least.sum() for engine, least in seconds.items()}


PARTS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "vectors": draw,
    "usearch": build_usearch,
    "hnswlib": build_hnswlib,
    "store": build_store,
    "opened": search,
    "mapped": open_mapped,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--like", type=Path, metavar="RUN", help="a run of the demo whose models' vectors to resemble")
    parser.add_argument("--student", default="edge-m", help="whose queries are asked")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1, help="of each build")
    parser.add_argument("--without", nargs="*", default=[], choices=PARTS, help="parts to leave out")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="where the gallery is kept; a temporary folder by default")
    options = parser.parse_args()
    if options.part:
        print(json.dumps(PARTS[options.part](options)))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        figures: dict[str, Any] = {"count": options.vectors, "dimension": DIMENSION, "seed": options.seed}
        for part in PARTS:
            if part not in options.without:
                command = [sys.executable, "-m", "benchmarks.gallery_stores", *sys.argv[1:], "--part", part]
                threads = {"OMP_NUM_THREADS": str(options.threads if part == "store" else 1)}
                answer = subprocess.run(
                    [*command, "--folder", str(folder)],
                    check=True,
                    stdout=subprocess.PIPE,
                    env={**os.environ, **threads},
                )
                figures[part] = json.loads(answer.stdout)
        print(json.dumps({**where_and_when(), **figures}, indent=2))


if __name__ == "__main__":
    main()
