"""Which photos made old queries wrong: without those that influence names, do their flips go?

    python -m benchmarks.linear_adaptation --seeds 0 1 2 --subsets 0 1 2 --out runs/linear
    python -m benchmarks.linear_flips --adapted runs/linear

Starts from the clouds, domains and ridges of ``linear_adaptation.py``, adapted without anchors. A flip is an openmoji
test drawing that found its noto drawing before and does not now. For the flips of a setting together, and for some one
by one, the 5 % of the new images with the most influence on their margins are taken out, the problem is solved again,
and the flips that remain are counted, beside those that remain without as many random images.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import hetero
from benchmarks.linear_setting import Setting, emoji_and_recipe, noto_gallery
from benchmarks.machine import where_and_when
from hetero.files import write_json
from hetero.linear import AdaptConfig, Problem, influences, kronecker
from hetero.linear.config import Part
from hetero.linear.explanation.scores import mean_leverage
from hetero.linear.gallery import classes_of
from hetero.linear.solver.solve import Preconditioner, solve
from hetero.metrics import function_interval, mean_interval, rank_one_decisions

STEPS, RANDOM = 40, 3
WAYS = ("network", "linear")


@dataclass(frozen=True)
class Adapted:
    """A solved setting without anchors, and the queries that it made wrong.

    Attributes:
        rows: int64 [f], the old test images that flipped in the network.
        right: [f, d], the gallery's vector that each should find.
        wrong: [f, d], the one that it finds.
    """

    one: Setting
    problem: Problem
    precondition: Preconditioner
    change: Tensor
    rows: NDArray[np.int64]
    right: Tensor
    wrong: Tensor

    @classmethod
    def of(cls, one: Setting, ridge: float) -> Adapted:
        """Solve, and ask the old test images."""
        problem = one.problem(ridge, 0.0)
        precondition = kronecker(problem)(ridge)
        change = solve(problem, precondition, steps=STEPS, tolerance=1e-3).change
        before, after = (one.queries(each)["old"] for each in (None, change))
        was, still = rank_one_decisions(before, after)
        rows = np.flatnonzero(was & ~still)
        vectors = torch.from_numpy(one.gallery.vectors)
        found = one.model.changed(one.seen["old test"][rows], change) @ vectors.T
        groups = classes_of(one.old.test)
        own = torch.tensor([one.gallery.classes.index(groups[row]) for row in rows.tolist()])
        found[torch.arange(len(rows)), own] = -torch.inf
        return cls(one, problem, precondition, change, rows, vectors[own], vectors[found.argmax(dim=1)])

    @cached_property
    def count(self) -> int:
        """How many images are taken out: 5 %."""
        return len(self.problem.inputs) // 20

    def influential(self, flips: Sequence[int]) -> list[int]:
        """The images with the most influence on the sum of the margins of some flips."""
        inputs = self.one.seen["old test"][self.rows[list(flips)]]
        along = self.right[list(flips)] - self.wrong[list(flips)]
        gradient = self.one.model.backward_product(inputs, along)
        scores = influences(self.problem, self.change, gradient, self.precondition, steps=STEPS, tolerance=1e-2)
        return scores.argsort(descending=True)[: self.count].tolist()

    def remaining(self, gone: Sequence[int]) -> dict[str, list[bool]]:
        """Whether each flip remains without some images, in the network and in the linear model."""
        rest = without(self.problem, gone)
        change = solve(rest, self.precondition, start=self.change, steps=STEPS, tolerance=1e-3).change
        answers = {way: self.one.queries(change, linear=way == "linear")["old"] for way in WAYS}
        return {way: (~rank_one_decisions(answer)[0])[self.rows].tolist() for way, answer in answers.items()}


def without(problem: Problem, gone: Sequence[int]) -> Problem:
    """The same problem without some images; every other keeps its weight."""
    kept = [row for row in range(len(problem.inputs)) if row not in set(gone)]
    ridge = problem.ridge * len(problem.inputs) / len(kept)
    return replace(problem, inputs=problem.inputs[kept], targets=problem.targets[kept], ridge=ridge)


def compared(adapted: Adapted, seed: int, singly: int) -> dict[str, Any]:
    drawn = np.random.default_rng(seed)
    flips = list(range(len(adapted.rows)))
    total = len(adapted.problem.inputs)
    random = [adapted.remaining(drawn.permutation(total)[: adapted.count].tolist()) for _ in range(RANDOM)]
    together = adapted.remaining(adapted.influential(flips))
    some = sorted(drawn.permutation(len(flips))[:singly].tolist())
    alone = [{way: one[flip] for way, one in adapted.remaining(adapted.influential([flip])).items()} for flip in some]
    return {
        "rows": adapted.rows.tolist(),
        "leverage": mean_leverage(adapted.problem, adapted.precondition, steps=STEPS, tolerance=1e-2),
        "random": {way: np.mean([one[way] for one in random], axis=0).tolist() for way in WAYS},
        "together": together,
        "some": some,
        "alone": {way: [one[way] for one in alone] for way in WAYS},
    }


def table(found: dict[str, Any]) -> str:
    """Shares of the flips that remain; intervals resample queries, or settings where flips share what is taken out."""
    lines = ["| taken out | flips | remain | without random ones | their ratio |", "|---|---|---|---|---|"]
    for way in WAYS:
        for name, chosen, over in (("together", None, "settings"), ("alone", "some", "queries")):
            kept, random, clusters = _flips(found, way, name, chosen, over)
            ratio = function_interval([kept, random], lambda means: means[:, 0] / means[:, 1], clusters=clusters)
            shares = [mean_interval(each, clusters=clusters) for each in (kept, random)]
            figures = (f"{each.value:.3f} [{each.low:.3f}, {each.high:.3f}]" for each in (*shares, ratio))
            lines.append(f"| {name}, {way} | {len(kept)} | {' | '.join(figures)} |")
    lines += [
        f"{name}: {len(here['rows'])} flips, leverage {here['leverage']:.2f}, "
        f"{np.mean(here['together']['network']):.2f} remain, {np.mean(here['random']['network']):.2f} at random"
        for name, here in found.items()
    ]
    return "\n".join(lines)


def _flips(found: dict[str, Any], way: str, name: str, chosen: str | None, over: str) -> list[NDArray[Any]]:
    columns: list[list[float]] = [[], [], []]
    for number, here in enumerate(found.values()):
        places = range(len(here["rows"])) if chosen is None else here[chosen]
        columns[0] += [float(each) for each in here[name][way]]
        columns[1] += [here["random"][way][place] for place in places]
        columns[2] += [number if over == "settings" else here["rows"][place] for place in places]
    kept, random, clusters = columns
    return [np.array(kept), np.array(random), np.array(clusters, np.int64)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapted", type=Path, required=True, help="what linear_adaptation.py made")
    parser.add_argument("--part", choices=get_args(Part), default=AdaptConfig().part, help="what may change")
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--singly", type=int, default=12, help="flips of each setting that are explained one by one")
    options = parser.parse_args()
    path: Path = options.adapted / f"{options.part}-flips.json"
    found: dict[str, Any] = json.loads(path.read_text())["found"] if path.is_file() else {}
    settings = json.loads((options.adapted / f"{options.part}.json").read_text())["found"]
    emoji, _ = emoji_and_recipe()
    for name, here in settings.items():
        shift, seed, subset = name.split("/")
        if shift != "line" or "linear" not in here or name in found:
            continue
        model = hetero.load_model(options.adapted / f"cloud-{seed}")
        gallery = noto_gallery(model, emoji)
        one = Setting.of(model, emoji, gallery, options.images, int(subset), AdaptConfig(part=options.part))
        found[name] = compared(Adapted.of(one, here["linear"]["ridge"]), int(subset), options.singly)
        write_json(path, {"found": found, **where_and_when()})
    print(json.dumps(where_and_when()), table(found), sep="\n\n")


if __name__ == "__main__":
    main()
