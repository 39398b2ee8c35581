"""Is the searched student better? Winners by each reward, random search and hand-made networks, trained from scratch.

For each seed: a recipe's cloud model and supernet; at each share of the cloud's multiply-accumulates, winners by each
reward and by random search with as many evaluations, and hand-made networks scaled to the same multiply-accumulates.
All are trained by the recipe's `[search.student]` and judged as query models on test images.

    python benchmarks/architecture_search.py demo-search --seeds 0 1 2 --shares 20 40 80 --jobs 2 --out runs/nas

Finished parts are kept. Whether the reward knows what training gives, `benchmarks/search_ranking.py` asks; both may
share `--out`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# The repository instead of this folder: a module here is called export, too.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import numpy as np  # noqa: E402

from benchmarks.machine import where_and_when  # noqa: E402
from benchmarks.search_trial import METRIC, REWARDS, Figures, Trial, described, trials_of, with_options  # noqa: E402
from hetero import (  # noqa: E402
    InputError,
    ModelConfig,
)
from hetero.files import write_bytes, write_json, write_text  # noqa: E402
from hetero.metrics import (  # noqa: E402
    TaskResult,
    difference_interval,
    mean_interval,
)
from hetero.models.backbones.handmade import HANDMADE, handmade  # noqa: E402
from hetero.models.cost import widest_within  # noqa: E402
from hetero.nas.figures.front import Trained, trained_figure  # noqa: E402

SEARCHED = {f"evolution {reward}": ("evolution", reward) for reward in REWARDS}
RANDOM = {"random search r2": ("random", "r2")}
DRAWN = "random draw"
ARMS = (*SEARCHED, *RANDOM, DRAWN, *HANDMADE)


def network(trial: Trial, arm: str, share: int) -> ModelConfig | None:
    """An arm's network at one share of the cloud's multiply-accumulates; None when it cannot be made so small."""
    if arm == DRAWN:
        return trial.config(trial.random_points(1, share)[0])
    if arm not in HANDMADE:
        algorithm, reward = (SEARCHED | RANDOM)[arm]
        return trial.config(trial.winner(share, reward, algorithm))
    made = handmade(arm, stem_stride=trial.space.stem_stride, dimension=trial.stored.space.dimension)
    try:
        return widest_within(made, trial.context.recipe.preprocessing, macs=int(trial.cloud_macs / share))
    except InputError as error:
        print(f"1/{share}: {arm} is left out: {error}", file=sys.stderr)
        return None


def compare(trials: Sequence[Trial], share: int, arms: Sequence[str]) -> dict[str, Any]:
    """Every arm at one share: means, intervals over classes, and the first arm minus each other, paired."""
    found: dict[str, list[Figures]] = {arm: [] for arm in arms}
    for trial in trials:
        networks = {arm: made for arm in arms if (made := network(trial, arm, share)) is not None}
        for arm, figures in zip(networks, trial.trained(list(networks.values())), strict=True):
            found[arm].append(figures)
    clouds = [trial.cloud() for trial in trials]
    labels, own = clouds[0].labels, float(np.mean([one.mean(METRIC) for one in clouds]))
    everywhere = {arm: some for arm, some in found.items() if len(some) == len(trials)}
    pooled = {arm: averaged([one.asymmetric for one in some]) for arm, some in everywhere.items()}
    rows: dict[str, Any] = {}
    for arm, some in everywhere.items():
        value = mean_interval(pooled[arm], clusters=labels)
        rows[arm] = {
            "m_q_g": dataclasses.asdict(value),
            "seeds": [one.asymmetric.mean(METRIC) for one in some],
            "m_q_q": [one.symmetric.mean(METRIC) for one in some],
            "of_the_cloud": value.value / own,
            "macs": [one.macs for one in some],
            "first_minus_it": dataclasses.asdict(difference_interval(pooled[arms[0]], pooled[arm], clusters=labels)),
        }
    return {"share": share, "cloud": own, "first": arms[0], "arms": rows}


def averaged(results: Sequence[TaskResult]) -> list[np.ndarray]:
    """Each query's value averaged over the seeds, an array a task."""
    return [np.mean([one.per_query(METRIC)[task] for one in results], axis=0) for task in range(len(results[0].tasks))]


def page(budgets: Sequence[dict[str, Any]]) -> str:
    """The result as Markdown."""
    lines: list[str] = []
    for part in budgets:
        lines += [
            f"At 1/{part['share']} of the cloud's multiply-accumulates; the cloud has {METRIC} {part['cloud']:.3f}.",
            "",
            f"| network | M(q, g), 95 % | of the cloud's | MACs | M(q, q) | {part['first']} minus it, 95 % |",
            "|---|---|---|---|---|---|",
        ]
        for arm, row in sorted(part["arms"].items(), key=lambda item: -item[1]["m_q_g"]["value"]):
            behind = "" if arm == part["first"] else _interval(row["first_minus_it"], "+.3f")
            lines.append(
                f"| {arm} | {_interval(row['m_q_g'], '.3f')} | {row['of_the_cloud']:.3f} "
                f"| {np.mean(row['macs']) / 1e6:.2f}M | {np.mean(row['m_q_q']):.3f} | {behind} |"
            )
        lines.append("")
    return "\n".join(lines)


def picture(budgets: Sequence[dict[str, Any]]) -> bytes:
    """M(q, g) of every arm at every share against its cost, means over seeds."""
    points = [Trained("the cloud", "cloud", 0.0, float(np.mean([part["cloud"] for part in budgets])))]
    for part in budgets:
        for arm, row in part["arms"].items():
            kind = "searched" if arm in SEARCHED else "hand-made" if arm in HANDMADE else "random"
            own = row["m_q_g"]
            points.append(Trained(arm, kind, float(np.mean(row["macs"])), own["value"], own["low"], own["high"]))
    return trained_figure(points, METRIC)


def _interval(one: dict[str, float], form: str) -> str:
    return f"{one['value']:{form}} [{one['low']:{form}}, {one['high']:{form}}]"


def main() -> None:
    parser = with_options(argparse.ArgumentParser(description=str(__doc__).splitlines()[0]))
    parser.add_argument("--shares", type=int, nargs="+", default=[20, 40, 80], help="of the cloud's cost: 1/20, ...")
    parser.add_argument("--arms", nargs="+", default=["evolution r2", *(one for one in ARMS if one != "evolution r2")],
                        choices=ARMS, help="the first is compared with each other")  # fmt: skip
    options = parser.parse_args()
    trials = trials_of(options)
    here = {**where_and_when(), "seeds": options.seeds, **described(trials[0])}
    budgets: list[dict[str, Any]] = []
    for share in options.shares:
        budgets.append(compare(trials, share, options.arms))
        write_json(options.out / "architecture-search.json", {**here, "budgets": budgets})
        write_text(options.out / "architecture-search.md", page(budgets))
        write_bytes(options.out / "architecture-search.svg", picture(budgets))
    print(json.dumps(here), page(budgets), sep="\n\n")


if __name__ == "__main__":
    main()
