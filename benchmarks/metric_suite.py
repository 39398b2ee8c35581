"""Time of every metric, and the most memory that all of them take, on made-up embeddings of many classes.

    python benchmarks/metric_suite.py --queries 10000 --gallery 100000 --dimension 256

Bootstrap intervals are timed on the same 10,000 queries with 1,000 resamples, over queries and over classes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import peak_resident_bytes, where_and_when

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hetero.metrics import (
    count_flips,
    difference_interval,
    evaluate,
    fnir_at_fpir,
    nfr_interval,
    probe_scores,
    rel_nfr_interval,
    true_rate_interval,
    verify_all_pairs,
)

FARS = (1e-4, 1e-3, 1e-2)
FPIR = 0.01
ENROLLED = 0.9


def main() -> None:
    options = _options()
    rng = np.random.default_rng(options.seed)
    centres = rng.standard_normal((options.classes, options.dimension), np.float32)
    labels = np.arange(options.gallery) * options.classes // options.gallery  # ascending
    asked = rng.integers(0, options.classes, options.queries)
    gallery = _near(rng, centres, labels, 1.0)
    new, old = (_near(rng, centres, asked, spread) for spread in (3.0, 3.2))
    clock = _Clock()
    metrics = ("cmc@1", "cmc@10", "map@r", "recall@10", "recall@100")
    now = clock("cmc@k, map@r, recall@k", lambda: evaluate(new, gallery, asked, labels, metrics=metrics))
    before = clock("the same, of the old model", lambda: evaluate(old, gallery, asked, labels, metrics=metrics))
    points = clock("tar@far, all pairs", lambda: verify_all_pairs(new, gallery, asked, labels, FARS))
    enrolled = int(np.searchsorted(labels, ENROLLED * options.classes))
    probes = clock("open-set search", lambda: probe_scores(new, gallery[:enrolled], asked, labels[:enrolled]))
    identified = fnir_at_fpir(probes, FPIR)
    right = before["cmc@1"] > 0, now["cmc@1"] > 0
    flips = count_flips(*right)
    resampling: dict[str, Any] = {"resamples": options.resamples, "seed": options.seed}
    sides = now["map@r"], before["map@r"]
    clock("bootstrap, map@r difference over queries", lambda: difference_interval(*sides, **resampling))
    clock("bootstrap, map@r difference over classes", lambda: difference_interval(*sides, clusters=asked, **resampling))
    clock("bootstrap, nfr over queries", lambda: nfr_interval(*right, **resampling))
    clock("bootstrap, rel_nfr over queries", lambda: rel_nfr_interval(*right, **resampling))
    clock("bootstrap, tnir@fpir over classes", lambda: true_rate_interval(probes, FPIR, **resampling))
    result = {
        **where_and_when(),
        "options": {name: value for name, value in vars(options).items() if name != "json"},
        "wall clock, seconds": clock.wall,
        "processor time of all threads, seconds": clock.processor,
        "peak resident GB, embeddings included": round(peak_resident_bytes() / 1e9, 3),
        "figures": {
            **{name: round(float(values.mean()), 4) for name, values in now.items()},
            **{f"tar@far={point.far_asked}": round(point.tar, 4) for point in points},
            "pairs": points[0].genuine + points[0].impostor,
            f"tnir@fpir={FPIR}": round(identified.tnir, 4),
            "nfr": flips.nfr,
            "pfr": flips.pfr,
        },
    }
    text = json.dumps(result, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


class _Clock:
    """Runs something and notes how long it took; where other work runs too, processor time says more."""

    def __init__(self) -> None:
        self.wall: dict[str, float] = {}
        self.processor: dict[str, float] = {}

    def __call__(self, what: str, run: Callable[[], Any]) -> Any:
        start, processor_start = time.perf_counter(), time.process_time()
        result = run()
        self.wall[what] = round(time.perf_counter() - start, 2)
        self.processor[what] = round(time.process_time() - processor_start, 2)
        return result


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--gallery", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=256)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write the result here")
    return parser.parse_args()


def _near(rng: np.random.Generator, centres: Any, labels: Any, spread: float) -> Any:
    vectors = centres[labels]
    vectors += np.float32(spread) * rng.standard_normal(vectors.shape, np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


if __name__ == "__main__":
    main()
