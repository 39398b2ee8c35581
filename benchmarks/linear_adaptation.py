"""A new domain on emoji: line drawings against the noto gallery that stays, by linear and by ordinary fine-tuning.

    python benchmarks/linear_adaptation.py --seeds 0 1 2 --subsets 0 1 2 --out runs/linear

The demo's cloud model is trained on openmoji and noto alone. The new domain is line drawings of some training emoji,
whose targets are their noto vectors; anchors are openmoji drawings of as many others, held where they are. All methods
change the same weights, by the same squared error, and choose their ridge or rate on validation. Figures are of the 415
test emoji, searched for among all 1,380 in noto: line drawings, what is gained; openmoji, what is lost.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import where_and_when
from torch import Tensor
from torch.func import functional_call
from tqdm import tqdm

import hetero
from hetero.data.images import Dataset, ImageSet
from hetero.data.subset import with_rows
from hetero.evaluation.flip_intervals import nfr_difference_interval
from hetero.evaluation.flips import rank_one_decisions
from hetero.evaluation.retrieval import TaskResult
from hetero.files import write_json
from hetero.linear import AdaptConfig, Linearised, OldGallery, Problem, divided, kronecker
from hetero.linear.fit import Validation, fit
from hetero.linear.measure import Change, flips_between
from hetero.linear.parts import Divided
from hetero.linear.solve import solve
from hetero.models.model import EmbeddingModel
from hetero.recipe import Recipe, load_recipe

RATES, BATCH, EPOCHS = (1e-4, 3e-4, 1e-3), 64, 30


@dataclass(frozen=True)
class Setting:
    """One cloud model and one draw of new images and anchors."""

    parts: Divided
    model: Linearised
    gallery: OldGallery
    new: Dataset
    old: Dataset
    config: AdaptConfig

    def problem(self, ridge: float, anchor_weight: float) -> Problem:
        """The convex problem; its inputs and targets are those of ordinary fine-tuning, too."""
        inputs, anchors = (self.parts.inputs(data.train.images) for data in (self.new, self.old))
        targets = torch.from_numpy(self.gallery.targets(self.new.train))
        return Problem(self.model, inputs, targets, ridge, anchors, anchor_weight)

    def queries(self, change: Tensor | None) -> list[TaskResult]:
        """Line and openmoji test drawings in the gallery."""
        found: list[TaskResult] = []
        for images in (self.new.test, self.old.test):
            vectors = self.model.changed(self.parts.inputs(images.images), change).numpy()
            rows = self.gallery.answerable(images, own=False)
            found.append(self.gallery.search(images, vectors, rows, own=False))
        return found


def trained(emoji: Dataset, recipe: Recipe, steps: int, seed: int, directory: Path) -> EmbeddingModel:
    """The demo's cloud model, which never sees a line drawing; continued where it was interrupted."""
    images = emoji.train
    known = with_rows(images, np.flatnonzero(np.asarray(images.views) != images.view_names.index("line")))
    kept = [task for task in emoji.validation_tasks if "line" not in task.name]
    data = dataclasses.replace(emoji.training_on(known), validation_tasks=tuple(kept))
    training = dataclasses.replace(recipe.cloud.training, steps=steps, validate_every=max(1, steps // 10))
    config = dataclasses.replace(recipe.cloud, training=training)
    return hetero.train_cloud(data, config, recipe.preprocessing, directory, seed=seed)


def setting(model: EmbeddingModel, emoji: Dataset, count: int, seed: int, config: AdaptConfig) -> Setting:
    drawn = np.random.default_rng(seed).permutation(len(emoji.train.classes))
    new, old = (
        Dataset(
            name=design,
            train=_of(emoji.train, design, classes),
            validation=_of(emoji.validation, design),
            test=_of(emoji.test, design),
            validation_tasks=(),
            test_tasks=(),
            fingerprint="",
        )
        for design, classes in (("line", drawn[:count]), ("openmoji", drawn[count : 2 * count]))
    )
    stored = [_of(images, "noto") for images in (emoji.train, emoji.validation, emoji.test)]
    names = tuple(name for images in stored for name in images.names)
    vectors = np.concatenate([hetero.embed_images(model, images.images) for images in stored])
    assert model.space is not None
    gallery = OldGallery(vectors, names, tuple(name.split("/")[0] for name in names), model.space)
    parts = divided(model, config.part)
    return Setting(parts, Linearised(parts.upper), gallery, new, old, config)


def _of(images: ImageSet, design: str, classes: np.ndarray | None = None) -> ImageSet:
    chosen = np.asarray(images.views) == images.view_names.index(design)
    if classes is not None:
        chosen &= np.isin(images.labels, classes)
    return with_rows(images, np.flatnonzero(chosen))


def linear(one: Setting, anchor_weight: float) -> Tensor:
    config = dataclasses.replace(one.config, anchor_weight=anchor_weight)
    return fit(one.parts, one.new, one.old, one.gallery, config).solution.change


def fine_tuned(one: Setting, anchor_weight: float) -> Tensor:
    """The same error of the network itself, by Adam."""
    problem = one.problem(1e-6, anchor_weight)
    validation = Validation.of(one.parts, one.new, one.old, one.gallery, one.config)
    changes = [_descended(problem, rate) for rate in RATES]
    return max(changes, key=lambda change: validation.judged(one.model, change)[1])


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


METHODS: dict[str, Callable[[Setting], Tensor]] = {
    "linear": lambda one: linear(one, 0.0),
    "linear, anchors": lambda one: linear(one, 1.0),
    "fine-tuning": lambda one: fine_tuned(one, 0.0),
    "fine-tuning, anchors": lambda one: fine_tuned(one, 1.0),
}


def compared(one: Setting) -> dict[str, Any]:
    before = one.queries(None)
    rows: dict[str, Any] = {}
    decisions: dict[str, Any] = {}
    for name, method in METHODS.items():
        begun = time.process_time()
        change = method(one)
        seconds = time.process_time() - begun
        after = one.queries(change)
        decisions[name] = rank_one_decisions(before[1], after[1])
        rows[name] = {
            "new": asdict(Change.between(before[0], after[0], seed=0)),
            "flips": asdict(flips_between(before[1], after[1], seed=0)),
            "moved": float(change.norm() / one.model.joined(one.model.weights).norm()),
            "cpu_seconds": seconds,
        }
        gain = rows[name]["new"]
        print(f"{name:22s} line {gain['before']:.3f} -> {gain['after']:.3f}, flips {rows[name]['flips']['value']:.3f}")
    (old, linear_now), (_, tuned_now) = decisions["linear, anchors"], decisions["fine-tuning, anchors"]
    rows["flips against fine-tuning"] = asdict(nfr_difference_interval(old, linear_now, tuned_now))
    return rows


def objectives(one: Setting) -> dict[str, list[float]]:
    """The objective step by step, with and without a preconditioner."""
    problem = one.problem(0.01, 1.0)
    return {
        "none": list(solve(problem, steps=20).objectives),
        "kronecker": list(solve(problem, kronecker(problem)(problem.ridge), steps=20).objectives),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of the cloud models")
    parser.add_argument("--steps", type=int, default=800, help="of their training")
    parser.add_argument("--subsets", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    recipe = load_recipe(Path(hetero.__file__).parent / "recipes" / "demo.toml")
    emoji = hetero.prepare(recipe.data, recipe.preprocessing)
    found: dict[str, Any] = {}
    for seed in options.seeds:
        model = trained(emoji, recipe, options.steps, seed, options.out / f"cloud-{seed}")
        for subset in options.subsets:
            print(f"cloud {seed}, subset {subset}")
            one = setting(model, emoji, options.images, subset, AdaptConfig())
            found[f"{seed}/{subset}"] = {"methods": compared(one), "objectives": objectives(one)}
            write_json(options.out / "linear_adaptation.json", {"found": found, **where_and_when()})


if __name__ == "__main__":
    main()
