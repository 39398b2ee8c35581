"""Does a supernet rank architectures as training each of them does? Kendall's tau of each reward with trained figures.

    python benchmarks/search_ranking.py demo-search --seeds 0 1 2 --architectures 20 --jobs 2 --out runs/nas

For each seed random points of the search space, within a share of the cloud's multiply-accumulates, are judged by the
supernet's weights, with batch-norm statistics estimated for each and with the moving averages. Then each is trained
from scratch as the recipe's `[search.student]` and measured on the test classes: M(q, g) and M(q, q), map@r. Intervals
are over architectures (1,000 bootstrap samples); `macs` shows what ranking by cost alone gives. Finished parts are
kept.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

# The repository instead of this folder: a module here is called export, too.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np  # noqa: E402

from benchmarks.machine import where_and_when  # noqa: E402
from benchmarks.search_trial import METRIC, REWARDS, Trial, described, trials_of, with_options  # noqa: E402
from hetero.files import write_bytes, write_json, write_text  # noqa: E402
from hetero.nas.figures.correlation import correlation_figure, kendall  # noqa: E402

SAMPLES = 1000
ESTIMATES = {"estimated": True, "moving averages": False}


def ranked(trial: Trial, count: int, share: int) -> dict[str, Any]:
    """Random points of one seed: what each reward promised, what training gave, and how they correlate."""
    points = trial.random_points(count, share)
    columns: dict[str, list[float]] = {}
    for name, batch_norm in ESTIMATES.items():
        figures = trial.rewards(points, batch_norm=batch_norm)
        columns |= {f"{reward}, {name}": [one[reward] for one in figures] for reward in REWARDS}
    columns["macs"] = [trial.costs(point)["macs"] for point in points]
    trained = trial.trained([trial.config(point) for point in points])
    truths = {
        "asymmetric": [one.asymmetric.mean(METRIC) for one in trained],
        "symmetric": [one.symmetric.mean(METRIC) for one in trained],
    }
    taus = {
        name: {side: with_interval(values, truth) for side, truth in truths.items()}
        for name, values in columns.items()
    }  # fmt: skip
    return {
        "seed": trial.seed,
        "taus": taus,
        "promised": columns,
        "trained": truths,
        "architectures": [point.to_dict() for point in points],
    }


def with_interval(values: list[float], truth: list[float]) -> dict[str, float]:
    """Kendall's tau and the middle 95 % of its values over bootstrap samples of the architectures."""
    rng, one, other = np.random.default_rng(0), np.asarray(values), np.asarray(truth)
    taus = [
        kendall(one[rows].tolist(), other[rows].tolist()) for rows in rng.integers(len(one), size=(SAMPLES, len(one)))
    ]
    # A sample of architectures that tie has no correlation.
    low, high = np.quantile([tau for tau in taus if not np.isnan(tau)] or [np.nan], [0.025, 0.975])
    return {"tau": kendall(values, truth), "low": float(low), "high": float(high)}


def page(trials: list[dict[str, Any]]) -> str:
    """The result as Markdown."""
    head = ["ranked by", *(f"seed {one['seed']}: tau with M(q, g), 95 %" for one in trials)]
    rows = [[*head, "mean", "mean tau with M(q, q)"], ["---"] * (len(head) + 2)]
    for name in trials[0]["taus"]:
        beside, own = ([one["taus"][name][side] for one in trials] for side in ("asymmetric", "symmetric"))
        cells = [f"{one['tau']:+.2f} [{one['low']:+.2f}, {one['high']:+.2f}]" for one in beside]
        rows.append([name, *cells, *(f"{np.mean([one['tau'] for one in some]):+.2f}" for some in (beside, own))])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = with_options(argparse.ArgumentParser(description=str(__doc__).splitlines()[0]))
    parser.add_argument("--architectures", type=int, default=20)
    parser.add_argument("--share", type=int, default=20, help="of the cloud's cost, at most 1/20, ...")
    options = parser.parse_args()
    here: dict[str, Any] = where_and_when()
    trials: list[dict[str, Any]] = []
    for trial in trials_of(options):
        found = ranked(trial, options.architectures, options.share)
        trials.append(found)
        here |= described(trial)
        shown = {reward: found["promised"][f"{reward}, estimated"] for reward in REWARDS}
        picture = correlation_figure(shown, found["trained"]["asymmetric"])
        write_bytes(options.out / f"ranking-seed-{trial.seed}.svg", picture)
        write_json(options.out / "ranking.json", {**here, "share": options.share, "trials": trials})
    write_text(options.out / "ranking.md", page(trials) + "\n")
    print(json.dumps(here), page(trials), sep="\n\n")


if __name__ == "__main__":
    main()
