"""Speed and memory of exact search, beside faiss and plain numpy.

Speed, alternating in one process so that all three meet the same machine (where other work runs too, one thread and
processor time say more than the wall clock):

    python benchmarks/evaluation_speed.py --json speed.json

Memory, 100,000 queries against 1,000,000 vectors that are memory-mapped from a file (takes minutes):

    python benchmarks/evaluation_speed.py --memory --queries 100000 --gallery 1000000
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import peak_resident_bytes, where_and_when

NUMPY_QUERIES = 1024
NUMPY_GALLERY = 8192
CHUNK = 50_000
CHECKED = 16


def main() -> None:
    options = _options()
    # Libraries read these once, when they are loaded: hence the imports below the arguments.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(options.threads)
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    figures = _memory(options) if options.memory else _speed(options)
    result = {
        **where_and_when(),
        "options": {name: value for name, value in vars(options).items() if name != "json"},
        **figures,
    }
    text = json.dumps(result, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=4096)
    parser.add_argument("--gallery", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--memory", action="store_true", help="measure peak memory instead of speed")
    parser.add_argument("--json", type=Path, help="also write the result here")
    return parser.parse_args()


def _speed(options: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from hetero.metrics import search

    rng = np.random.default_rng(options.seed)
    query, gallery = (_unit(rng, rows, options.dimension) for rows in (options.queries, options.gallery))
    contestants: dict[str, Callable[[], Any]] = {
        "ours": lambda: search(query, gallery, options.k).rows,
        "numpy": lambda: _plain_numpy(query, gallery, options.k),
    }
    if faiss_search := _faiss(gallery, options):
        contestants["faiss"] = lambda: faiss_search(query)
    found = {name: run() for name, run in contestants.items()}
    wall: dict[str, list[float]] = {name: [] for name in contestants}
    processor: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(options.rounds):
        for name, run in contestants.items():
            start, processor_start = time.perf_counter(), time.process_time()
            run()
            wall[name].append(time.perf_counter() - start)
            processor[name].append(time.process_time() - processor_start)
    return {
        "wall clock": _summary(wall),
        "processor time of all threads": _summary(processor),
        "share of equal rows": {name: float((rows == found["ours"]).mean()) for name, rows in found.items()},
    }


def _summary(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Ratios are taken within a round, so that a busy machine slows both sides alike."""
    return {
        "median seconds": {name: round(statistics.median(values), 4) for name, values in seconds.items()},
        "median speed of ours, relative": {
            name: round(statistics.median(a / b for a, b in zip(values, seconds["ours"], strict=True)), 3)
            for name, values in seconds.items()
        },
    }


def _memory(options: argparse.Namespace) -> dict[str, Any]:
    import numpy as np

    from hetero.metrics import search

    rng = np.random.default_rng(options.seed)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "gallery.f32"
        with path.open("wb") as stream:
            for start in range(0, options.gallery, CHUNK):
                stream.write(_unit(rng, min(CHUNK, options.gallery - start), options.dimension).tobytes())
        gallery = np.memmap(path, np.float32, "r", shape=(options.gallery, options.dimension))
        query = np.concatenate(
            [
                _unit(rng, min(CHUNK, options.queries - start), options.dimension)
                for start in range(0, options.queries, CHUNK)
            ]
        )
        start = time.perf_counter()
        hits = search(query, gallery, options.k)
        seconds = time.perf_counter() - start
        peak = peak_resident_bytes()
        checked = rng.choice(options.queries, min(CHECKED, options.queries), replace=False)
        expected = _plain_numpy(query[checked], gallery, options.k)
    return {
        "seconds": round(seconds, 1),
        "billion scores a second": round(options.queries * options.gallery / seconds / 1e9, 3),
        "peak resident GB, gallery pages included": round(peak / 1e9, 3),
        "share of equal rows, of queries checked": float((hits.rows[checked] == expected).mean()),
    }


def _unit(rng: Any, rows: int, dimension: int) -> Any:
    import numpy as np

    vectors = rng.standard_normal((rows, dimension), np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _plain_numpy(query: Any, gallery: Any, k: int) -> Any:
    """What one writes without thinking twice: a product and ``argpartition`` a block, then merge."""
    import numpy as np

    parts: list[Any] = []
    for first in range(0, len(query), NUMPY_QUERIES):
        block = query[first : first + NUMPY_QUERIES]
        scores = np.empty((len(block), 0), np.float32)
        rows = np.empty((len(block), 0), np.int64)
        for start in range(0, len(gallery), NUMPY_GALLERY):
            new = block @ gallery[start : start + NUMPY_GALLERY].T
            best = np.argpartition(-new, min(k, new.shape[1] - 1), axis=1)[:, :k]
            scores = np.concatenate([scores, np.take_along_axis(new, best, axis=1)], axis=1)
            rows = np.concatenate([rows, best + start], axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        parts.append(np.take_along_axis(rows, order, axis=1))
    return np.concatenate(parts)


def _faiss(gallery: Any, options: argparse.Namespace) -> Callable[[Any], Any] | None:
    try:
        import faiss
    except ImportError:
        print("faiss is not installed (pip install faiss-cpu): comparing with numpy only", file=sys.stderr)
        return None
    faiss.omp_set_num_threads(options.threads)
    index = faiss.IndexFlatIP(options.dimension)
    index.add(gallery)
    return lambda query: index.search(query, options.k)[1]


if __name__ == "__main__":
    main()
