"""What the gates of parity and retrieval say of healthy files and of broken ones.

    python benchmarks/parity_gate.py BUNDLE [BUNDLE ...] --json gates.json

Every file of each bundle is verified on the desktop, then judged again on random draws of two thirds of its queries:
a healthy file must not fail by the luck of the draw. Then copies of the bundle are broken, one fault each, and the
share of queries that lose their neighbours is told beside what failed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
ROOT = Path(__file__).resolve().parent.parent
# The repository instead of this folder: a module here is called export, too.
sys.path[0] = str(ROOT)

import numpy as np  # noqa: E402
from tqdm import tqdm  # noqa: E402

from benchmarks.machine import where_and_when  # noqa: E402

_SHARE = 2 / 3
_RUNGS = ("parity", "retrieval")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", type=Path, nargs="+")
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-faults", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    from device_tests.targets.registry import target as target_called
    from export import read_bundle

    desktop = target_called("desktop")
    desktop.set_up()
    figures: dict[str, Any] = {}
    for path in options.bundles:
        bundle = read_bundle(path)
        files = [_file(bundle, entry, desktop, options) for entry in tqdm(bundle.manifest.models, desc=str(path))]
        faults = [] if options.no_faults else _faults(bundle, desktop)
        figures[str(path)] = {"files": files, "faults": faults}
        print(_table(files), _table(faults), sep="\n\n")
    if options.json:
        text = json.dumps({**where_and_when(), "seed": options.seed, "bundles": figures}, indent=2)
        options.json.write_text(text + "\n", encoding="utf-8")


def _file(bundle: Any, entry: Any, target: Any, options: argparse.Namespace) -> dict[str, Any]:
    from device_tests import Gates
    from device_tests.ladder.climb import check_model
    from device_tests.ladder.running import Job

    if entry.format not in target.runtimes:
        return {"file": entry.file, "parity": "not verified", "retrieval": "not verified"}
    returned = Job(bundle, entry, target).run()
    found = {finding.rung: finding for finding in check_model(bundle, entry, returned, Gates())}
    random, draws = np.random.default_rng(options.seed), Counter[str]()
    for _ in range(options.draws):
        drawn, answer = _draw(bundle, returned, random)
        statuses = {one.rung: one.status for one in check_model(drawn, entry, answer, Gates())}
        draws["fail" if "fail" in statuses.values() else "no fail"] += 1
    parity, retrieval = (found[rung].figures for rung in _RUNGS)
    return {
        "file": entry.file,
        "parity": found["parity"].status,
        "largest angle": _number(parity.get("largest_angle_degrees"), 2),
        "neighbours lost": f"{parity.get('neighbours_lost')} of {parity.get('neighbours')}",
        "share, 95 %": _interval(parity, "neighbours_lost_share", "neighbours_lost_low", "neighbours_lost_high"),
        "retrieval": found["retrieval"].status,
        "loss of cmc@1, 95 %": _interval(retrieval, "cmc@1_loss", "cmc@1_loss_low", "cmc@1_loss_high"),
        "lost, gained": f"{retrieval.get('negative_flips')}, {retrieval.get('positive_flips')}",
        "draws without a fail": f"{draws['no fail']} of {options.draws}",
    }


def _draw(bundle: Any, returned: Any, random: np.random.Generator) -> tuple[Any, Any]:
    """The bundle with two thirds of its queries, drawn at random, and what the target returned for these."""
    from device_tests.ladder.sample import Sampled, with_queries

    goldens, rows = bundle.goldens, bundle.goldens.query_rows
    kept = np.sort(random.choice(len(rows), round(_SHARE * len(rows)), replace=False))
    drawn = Sampled(bundle.path, bundle.manifest, bundle.space, bundle.preprocessing, goldens, len(kept))
    # A cached property: this draw in place of the evenly spread one.
    drawn.__dict__["goldens"] = with_queries(goldens, rows[kept])
    drawn.__dict__["originals"] = {}
    first = len(goldens.golden_images)
    embeddings = np.concatenate([returned.embeddings[:first], returned.embeddings[first + kept]])
    answer = dataclasses.replace(returned, embeddings=embeddings, pixels=None, pixel_embeddings=None, also={})
    return drawn, answer


def _faults(bundle: Any, target: Any) -> list[dict[str, Any]]:
    from device_tests.faults import try_faults

    return [
        {
            "fault": one.fault,
            "has to fail": one.expected,
            "answer": one.answer,
            "failed": ", ".join(one.failed) or "-",
            "why": one.reason,
        }
        for one in try_faults(bundle, target)
    ]


def _interval(figures: Any, *names: str) -> str:
    if any(figures.get(name) is None for name in names):
        return "-"
    value, low, high = (float(figures[name]) for name in names)
    return f"{value:.4f} [{low:.4f}, {high:.4f}]"


def _number(value: Any, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _table(rows: list[dict[str, Any]]) -> str:
    from device_tests.verdict.markdown import table

    if not rows:
        return ""
    names = list(max(rows, key=len))
    return table(tuple(names), [tuple(str(row.get(name, "-")) for name in names) for row in rows])


if __name__ == "__main__":
    main()
