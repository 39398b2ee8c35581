"""The setting of the paper on linear quadratic fine-tuning (arXiv 2012.11140): classification by a pre-trained network.

    python -m benchmarks.linear_paper --seeds 0 1 --out runs/linear-paper

Small residual networks with a leaky slope of 0, .01 and .2 are pre-trained to retrieve the training emoji. Each then
learns classes of emoji that it never saw, from few images or many: changed copies of their three designs, tested on
others. All methods start from the linear probe, the ridge regression of the last layer; they change every weight, and
choose their ridge or rate on validation. The paper changes three things about ordinary fine-tuning: the slope, squared
error in place of cross-entropy (targets are 15 times one-hot), and a Kronecker-factored step, for a model that is
linear in its change.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

import hetero
from benchmarks.linear_setting import emoji_and_recipe
from benchmarks.machine import where_and_when
from benchmarks.records import spread
from hetero import Dataset, EmbeddingModel, ImageSet, ModelConfig, Recipe, Stage
from hetero.files import write_json
from hetero.linear import Linearised, Problem, kronecker
from hetero.linear.solver.solve import solve
from hetero.models.backbones import residual

SLOPES = (0.0, 0.01, 0.2)
SHOTS = {"few": 0, "full": 4}
"""Changed copies of each design, beside the design itself."""
COPIES = 8
SCALE, BATCH, EPOCHS = 15.0, 64, 12
RIDGES = (1.0, 0.1, 0.01, 0.001)
ADAM, KRONECKER = (1e-3, 3e-3), ((1e-3, 0.1), (3e-3, 0.1), (3e-3, 1.0))
SMALL = ModelConfig(
    family="residual",
    dimension=64,
    stem_channels=16,
    stem_stride=2,
    pool="avg",
    stages=(Stage(channels=32, stride=2), Stage(channels=64, stride=2)),
)
CHANGES = hetero.AugmentConfig(
    rotation=40.0, scale=(0.6, 1.4), shift=0.15, grey=0.3, brightness=0.4, contrast=0.4, erase=0.3
)


@dataclass(frozen=True)
class Images:
    """What the network takes, and classes."""

    inputs: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Task:
    """A network with the probe as its last layer, and what it is to learn."""

    model: Linearised
    train: Images
    validation: Images
    test: Images
    classes: int
    epochs: int = EPOCHS
    rates: tuple[float, ...] = ADAM

    @cached_property
    def problem(self) -> Problem:
        """The squared error."""
        targets = SCALE * F.one_hot(self.train.labels, self.classes).float()
        return Problem(self.model, self.train.inputs, targets, RIDGES[0])

    @cached_property
    def factors(self) -> Callable[[float], Callable[[Tensor], Tensor]]:
        """A ridge to its preconditioner."""
        return kronecker(self.problem)

    def accuracy(self, images: Images, change: Tensor | None, *, linear: bool) -> float:
        """Share of the images that are classified right, by the network or by the linear model."""
        if linear and change is not None:
            outputs = self.model(images.inputs, change)
        else:
            outputs = self.model.changed(images.inputs, change)
        return float((outputs.argmax(dim=1) == images.labels).float().mean())

    def best(self, changes: Iterable[Tensor], *, linear: bool) -> float:
        """Accuracy on test of the change that does best on validation."""
        chosen = max(changes, key=lambda change: self.accuracy(self.validation, change, linear=linear))
        return self.accuracy(self.test, chosen, linear=linear)

    def error(self, outputs: Tensor, rows: Tensor, *, squared: bool) -> Tensor:
        """The mean error of some training images' outputs."""
        labels = self.train.labels[rows]
        if not squared:
            return F.cross_entropy(outputs, labels)
        return (SCALE * F.one_hot(labels, self.classes) - outputs).square().sum(dim=1).mean()

    def batches(self) -> Iterable[Tensor]:
        """Yield rows; few images are shown more often."""
        drawn = torch.Generator().manual_seed(0)
        for _ in range(self.epochs * max(1, 600 // len(self.train.labels))):
            yield from torch.randperm(len(self.train.labels), generator=drawn).split(BATCH)


def descended(task: Task, rate: float, *, squared: bool, linear: bool) -> Tensor:
    """By Adam: the network itself, or the linear model."""
    model, steps = task.model, torch.zeros(task.model.size).requires_grad_()
    optimizer = torch.optim.Adam([steps], rate)
    for rows in task.batches():
        inputs = task.train.inputs[rows]
        optimizer.zero_grad()
        if linear:
            outputs = model(inputs, steps.detach()).requires_grad_()
            (pull,) = torch.autograd.grad(task.error(outputs, rows, squared=squared), outputs)
            steps.grad = model.backward_product(inputs, pull)
        else:
            moved = model.parts(model.joined(model.weights) + steps)
            task.error(functional_call(model.module, moved, (inputs,)), rows, squared=squared).backward()
        optimizer.step()
    return steps.detach()


def kronecker_descended(task: Task, rate: float, ridge: float) -> Tensor:
    """The paper's own: stochastic steps through the Kronecker factors, with momentum."""
    model, change = task.model, torch.zeros(task.model.size)
    apply, speed = task.factors(ridge), torch.zeros(task.model.size)
    for rows in task.batches():
        inputs = task.train.inputs[rows]
        left = model(inputs, change) - task.problem.targets[rows]
        gradient = model.backward_product(inputs, left) / len(rows) + ridge * change
        speed = 0.9 * speed + apply(gradient)
        change = change - rate * speed
    return change


def exact(task: Task) -> Iterable[Tensor]:
    start: Tensor | None = None
    for ridge in RIDGES:
        start = solve(task.problem.with_ridge(ridge), task.factors(ridge), start=start, steps=30).change
        yield start


METHODS: dict[str, Callable[[Task], float]] = {
    "linear probe": lambda task: task.accuracy(task.test, None, linear=False),
    "fine-tuning, cross-entropy": lambda task: task.best(
        (descended(task, rate, squared=False, linear=False) for rate in task.rates), linear=False
    ),
    "fine-tuning, squared": lambda task: task.best(
        (descended(task, rate, squared=True, linear=False) for rate in task.rates), linear=False
    ),
    "linear, cross-entropy": lambda task: task.best(
        (descended(task, rate, squared=False, linear=True) for rate in task.rates), linear=True
    ),
    "linear, squared": lambda task: task.best(
        (descended(task, rate, squared=True, linear=True) for rate in task.rates), linear=True
    ),
    "linear, squared, Kronecker steps": lambda task: task.best(
        (kronecker_descended(task, rate, ridge) for rate, ridge in KRONECKER), linear=True
    ),
    "linear, squared, exact": lambda task: task.best(exact(task), linear=True),
}


class _Classifier(nn.Module):
    def __init__(self, backbone: nn.Module, pool: nn.Module, channels: int, classes: int) -> None:
        super().__init__()
        self.backbone, self.pool = backbone, pool
        self.head = nn.Linear(channels, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head(self.pool(self.backbone(pixels)))


def probed(
    backbone: nn.Module, pool: nn.Module, channels: int, train: Images, validation: Images, classes: int
) -> nn.Module:
    """The network with the last layer that does best on validation, by ridge regression."""
    classifier = _Classifier(backbone, pool, channels, classes).eval()
    with torch.no_grad():
        seen, asked = (classifier.pool(classifier.backbone(images.inputs)).double() for images in (train, validation))
        middle, scale = seen.mean(dim=0), seen.std()
        rows, targets = (seen - middle) / scale, SCALE * F.one_hot(train.labels, classes).double()
        shift, best = targets.mean(dim=0), -1.0
        for ridge in (1.0, 0.1, 0.01, 0.001):
            gram = rows.T @ rows / len(rows) + ridge * torch.eye(rows.shape[1], dtype=rows.dtype)
            weight = torch.linalg.solve(gram, rows.T @ (targets - shift) / len(rows)).T / scale
            bias = shift - weight @ middle
            right = float(((asked @ weight.T + bias).argmax(dim=1) == validation.labels).double().mean())
            if right > best:
                best = right
                classifier.head.weight.copy_(weight)
                classifier.head.bias.copy_(bias)
    return classifier


def task_of(model: EmbeddingModel, copies: ImageSet, classes: int, shots: int, seed: int) -> Task:
    """Some unseen classes: the designs and their first copies to learn from, two more to choose by, two to test on."""
    chosen = np.random.default_rng(seed).permutation(len(copies.classes))[:classes]
    number = np.arange(len(copies)) // (len(copies) // (COPIES + 1))
    new_label = np.full(len(copies.classes), -1)
    new_label[chosen] = np.arange(classes)
    labels = new_label[np.asarray(copies.labels)]

    def part(first: int, last: int) -> Images:
        rows = np.flatnonzero((labels >= 0) & (number >= first) & (number <= last))
        pixels = model.pixels(torch.from_numpy(np.ascontiguousarray(copies.images[rows])))
        return Images(pixels.contiguous(), torch.from_numpy(labels[rows]))

    with torch.no_grad():
        train, validation, test = part(0, shots), part(COPIES - 3, COPIES - 2), part(COPIES - 1, COPIES)
        network = probed(model.backbone, model.pool, model.embedding.in_features, train, validation, classes)
    return Task(Linearised(network), train, validation, test, classes)


def pretrained(emoji: Dataset, recipe: Recipe, steps: int, slope: float, directory: Path) -> EmbeddingModel:
    """A small network of this slope, which must stay set while the network is used."""
    residual.SLOPE = slope  # pyright: ignore[reportConstantRedefinition]
    if (directory / "config.json").is_file():
        return hetero.load_model(directory)
    training = replace(recipe.cloud.training, steps=steps, validate_every=max(1, steps // 10))
    config = replace(recipe.cloud, training=training, model=SMALL)
    return hetero.train_cloud(emoji, config, recipe.preprocessing, directory, seed=0)


def measure(task: Task, here: dict[str, Any], keep: Callable[[], None]) -> None:
    """Add the methods that are missing, and keep what there is after each."""
    for name, method in METHODS.items():
        if name not in here:
            begun = time.process_time()
            here[name] = {"accuracy": method(task), "cpu_seconds": time.process_time() - begun}
            keep()


def table(found: dict[str, Any]) -> str:
    """Accuracy, mean and deviation over draws of classes."""
    columns = sorted({(name.split("/")[1], name.split("/")[0]) for name in found})
    lines = [
        "| method | " + " | ".join(f"{shots}, slope {slope}" for shots, slope in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for method in METHODS:
        cells = [
            [here[method]["accuracy"] for name, here in found.items() if name.split("/")[:2] == [slope, shots]]
            for shots, slope in columns
        ]
        lines.append(f"| {method} | " + " | ".join(map(spread, cells)) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1], help="of the classes")
    parser.add_argument("--shots", nargs="+", choices=tuple(SHOTS), default=list(SHOTS))
    parser.add_argument("--classes", type=int, default=50)
    parser.add_argument("--steps", type=int, default=300, help="of pre-training")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    path: Path = options.out / "linear_paper.json"
    found: dict[str, Any] = json.loads(path.read_text())["found"] if path.is_file() else {}
    emoji, recipe = emoji_and_recipe()
    copies = hetero.with_copies(emoji.test, COPIES, CHANGES, seed=0)
    for slope in SLOPES:
        model = pretrained(emoji, recipe, options.steps, slope, options.out / f"slope-{slope:g}")
        for seed in options.seeds:
            for shots in options.shots:
                task = task_of(model, copies, options.classes, SHOTS[shots], seed)
                here = found.setdefault(f"{slope:g}/{shots}/{seed}", {})
                measure(task, here, lambda: write_json(path, {"found": found, **where_and_when()}))
    print(json.dumps(where_and_when()), table(found), sep="\n\n")


if __name__ == "__main__":
    main()
