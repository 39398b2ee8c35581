"""A new domain on emoji: line drawings against the noto gallery that stays, by linear and by ordinary fine-tuning.

    python -m benchmarks.linear_adaptation --seeds 0 1 2 --subsets 0 1 2 --out runs/linear

Clouds, domains and anchors are those of ``linear_setting.py``. All methods change the same weights, by the same squared
error, and choose their ridge or rate on validation. Figures are of the 415 test emoji, searched for among all 1,380 in
noto: line drawings, what is gained; openmoji, what is lost. Harsh shifts, of the first subset, are line drawings upside
down in opposite colours, and cut into squares in another order. What is found already is not computed again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor
from torch.func import functional_call
from tqdm import tqdm

from benchmarks.linear_setting import SHIFTS, Setting, emoji_and_recipe, noto_gallery, trained
from benchmarks.linear_table import table
from benchmarks.machine import where_and_when
from hetero.files import write_json
from hetero.linear import Adaptation, AdaptConfig, Problem, kronecker
from hetero.linear.config import Part
from hetero.linear.fit import Fit, Validation, fit
from hetero.linear.measure import Change, flips_between
from hetero.linear.solver.precondition import anchor_factors, diagonal
from hetero.linear.solver.solve import solve
from hetero.metrics import TaskResult, rank_one_decisions
from hetero.metrics.flips import RANK_ONE

RATES, BATCH, EPOCHS = (3e-4, 1e-3, 3e-3), 64, 30
Results = dict[str, TaskResult]


def linear(one: Setting, anchor_weight: float, *, by_factors: bool = False) -> dict[str, Any]:
    config = dataclasses.replace(one.config, anchor_weight=anchor_weight)
    held = anchor_factors(one.model, one.seen["anchors"]) if by_factors else None
    found = fit(one.parts, one.new, one.old, one.gallery, config, held)
    change = found.solution.change
    before, after, as_linear = one.queries(None), one.queries(change), one.queries(change, linear=True)
    measured = judged(one, found, config, before, after, as_linear)
    return {
        **figures(one, change, after),
        "ridge": found.ridge,
        "linear": {name: decisions(result) for name, result in as_linear.items()},
        "refusals": list(measured.refusals),
    }


def judged(
    one: Setting, found: Fit, config: AdaptConfig, before: Results, after: Results, as_linear: Results
) -> Adaptation:
    """The figures as ``hetero adapt`` judges them."""
    return Adaptation(
        space=one.gallery.space.space_id,
        new=Change.between(before["new"], after["new"], seed=config.seed),
        old=Change.between(before["old"], after["old"], seed=config.seed),
        flips=flips_between(before["old"], after["old"], seed=config.seed),
        linear=as_linear["new"].mean(RANK_ONE),
        part=config.part,
        anchors=len(one.old.train) if config.anchor_weight else 0,
        anchor_weight=config.anchor_weight,
        images=len(one.new.train),
        ridge=found.ridge,
        steps=found.solution.steps,
        residual=found.solution.residual,
        moved=found.moved,
        most_flips=config.most_flips,
        most_lost=config.most_lost,
    )


def fine_tuned(one: Setting, anchor_weight: float) -> dict[str, Any]:
    """The same error of the network itself, by Adam."""
    problem = one.problem(1e-6, anchor_weight)
    # What a linear model would find with this change does not matter here.
    config = dataclasses.replace(one.config, most_lost=1.0)
    validation = Validation.of(one.parts, one.new, one.old, one.gallery, config)
    changes = {rate: _descended(problem, rate) for rate in RATES}
    rate = max(changes, key=lambda each: validation.judged(one.model, changes[each]))
    return {**figures(one, changes[rate], one.queries(changes[rate])), "rate": rate}


def _descended(problem: Problem, rate: float) -> Tensor:
    model, drawn = problem.model, torch.Generator().manual_seed(0)
    weights = {name: value.clone().requires_grad_() for name, value in model.weights.items()}
    optimizer = torch.optim.Adam(weights.values(), rate)
    anchors = problem.anchors if problem.anchor_weight else None
    held = None if anchors is None else model.origin(anchors)
    for _ in tqdm(range(EPOCHS), desc=f"fine-tuning at {rate:g}", unit="epoch"):
        for rows in torch.randperm(len(problem.inputs), generator=drawn).split(BATCH):
            missed = problem.targets[rows] - functional_call(model.module, weights, (problem.inputs[rows],))
            loss = missed.square().sum(dim=1).mean()
            if anchors is not None and held is not None:
                some = torch.randint(len(anchors), (BATCH,), generator=drawn)
                moved = held[some] - functional_call(model.module, weights, (anchors[some],))
                loss = loss + problem.anchor_weight * moved.square().sum(dim=1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model.joined({name: value.detach() - model.weights[name] for name, value in weights.items()})


METHODS: dict[str, Callable[[Setting], dict[str, Any]]] = {
    "linear": lambda one: linear(one, 0.0),
    "linear, anchors": lambda one: linear(one, 1.0),
    "linear, factors of the anchors": lambda one: linear(one, 1.0, by_factors=True),
    "fine-tuning": lambda one: fine_tuned(one, 0.0),
    "fine-tuning, anchors": lambda one: fine_tuned(one, 1.0),
}
HARSH = ("linear", "linear, anchors")
"""Methods for harsh shifts."""


def figures(one: Setting, change: Tensor, after: Results) -> dict[str, Any]:
    return {
        "network": {name: decisions(result) for name, result in after.items()},
        "moved": float(change.norm() / one.model.joined(one.model.weights).norm()),
    }


def decisions(result: TaskResult) -> str:
    """Whether each query is answered right, as 0 and 1."""
    return "".join(str(int(right)) for right in rank_one_decisions(result)[0])


def objectives(one: Setting) -> dict[str, list[float]]:
    """The objective step by step, with and without a preconditioner."""
    problem = one.problem(0.01, 1.0)
    preconditioners = {"none": None, "diagonal": diagonal(problem), "Kronecker": kronecker(problem)(problem.ridge)}
    return {name: list(solve(problem, each, steps=20).objectives) for name, each in preconditioners.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the cloud models")
    parser.add_argument("--steps", type=int, default=250, help="of their training")
    parser.add_argument("--subsets", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--part", choices=get_args(Part), default=AdaptConfig().part, help="what may change")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--shifts", nargs="+", default=list(SHIFTS), choices=SHIFTS, help="of the first subset")
    parser.add_argument("--objectives", action="store_true", help="of the first subset, step by step")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    path: Path = options.out / f"{options.part}.json"
    found: dict[str, Any] = json.loads(path.read_text())["found"] if path.is_file() else {}
    emoji, recipe = emoji_and_recipe()
    config = AdaptConfig(part=options.part)
    for seed in options.seeds:
        model = trained(emoji, recipe, options.steps, seed, options.out / f"cloud-{seed}")
        gallery = noto_gallery(model, emoji)
        for subset in options.subsets:
            first = subset == options.subsets[0]
            for shift in options.shifts if first else ("line",):
                one = Setting.of(model, emoji, gallery, options.images, subset, config, SHIFTS[shift])
                here = found.setdefault(f"{shift}/{seed}/{subset}", {})
                if "before" not in here:
                    here["before"] = {name: decisions(result) for name, result in one.queries(None).items()}
                for name in options.methods if shift == "line" else HARSH:
                    if name not in here:
                        begun = time.process_time()
                        here[name] = METHODS[name](one)
                        here[name]["cpu_seconds"] = time.process_time() - begun
                        write_json(path, {"found": found, **where_and_when()})
                if options.objectives and first and shift == "line" and "objectives" not in here:
                    here["objectives"] = objectives(one)
                    write_json(path, {"found": found, **where_and_when()})
    print(json.dumps(where_and_when()), table(found), sep="\n\n")


if __name__ == "__main__":
    main()
