"""What the trainings of :mod:`benchmarks.frozen_cloud` come to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.frozen_cloud_methods import ABLATIONS, METHODS
from benchmarks.records import signed, spread
from hetero.metrics import difference_interval

PART = "part.json"
"""In the directory of each training."""


def table(out: Path) -> None:
    """Shares of the cloud's own map@r, and paired differences over seeds and queries."""
    records = [json.loads(path.read_text()) for path in sorted(out.glob(f"*/{PART}"))]
    for cloud, images, share in sorted({(one["cloud"], one["images"], one["share"]) for one in records}):
        here = [one for one in records if (one["cloud"], one["images"], one["share"]) == (cloud, images, share)]
        by_method = {
            name: {one["seed"]: one for one in here if one["method"] == name} for name in (*METHODS, *ABLATIONS)
        }
        for what in ("known", "new"):
            print(f"\n{cloud}, 1/{round(1 / share)}, {images:,} images, {what} classes")
            for method, seeds in by_method.items():
                if seeds:
                    print(f"  {method:24s}{_row(by_method['default'], seeds, what, is_default=method == 'default')}")


def _row(ours: dict[int, Any], seeds: dict[int, Any], what: str, *, is_default: bool) -> str:
    records = list(seeds.values())
    line = f"share {spread([one['figures'][what]['share'] for one in records])} ({len(records)} seeds)"
    line += f", agreement {spread([one['agreement']['training'] for one in records])} in training,"
    line += f" {spread([one['agreement']['test'] for one in records])} on test"
    line += f", {round(np.mean([one['seconds'] for one in records]))} s"
    paired = sorted(set(ours) & set(seeds))
    if is_default or not paired:
        return line
    # Seeds ask the same queries: what is resampled is each query's mean over them.
    new, old = (np.mean([each[seed]["figures"][what]["map@r"] for seed in paired], axis=0) for each in (ours, seeds))
    return f"{line}; default minus it, map@r: {signed(vars(difference_interval(new, old)))}"
