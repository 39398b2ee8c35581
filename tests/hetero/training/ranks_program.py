"""What the tests under ``torchrun`` run in each process: ``python -m tests.hetero.training.ranks_program OUT``.

Each scenario named leaves what it saw in ``OUT/rank{n}.json``.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from hetero.errors import InputError
from hetero.models.directory import load_model
from hetero.models.model import EmbeddingModel
from hetero.nas.supernet import train as supernet_training
from hetero.nas.supernet.directory import load_supernet
from hetero.nas.supernet.train import train_supernet
from hetero.objectives.batch import Batch
from hetero.objectives.config import ObjectiveConfig
from hetero.objectives.head import Head
from hetero.own_code import allow_code
from hetero.training.cloud import train_cloud
from hetero.training.config import StudentConfig, TrainingConfig
from hetero.training.distributed.synchronised_norm import SynchronisedBatchNorm
from hetero.training.judging.judgement import Judgement
from hetero.training.loop.loop import fit
from hetero.training.loop.module import TrainingModule
from hetero.training.loop.run import Fitted, Run
from hetero.training.quantization_aware import tune_for_int8
from hetero.training.reference.cloud_reference import CloudReference
from hetero.training.reference.previous import PreviousStudent
from hetero.training.student import train_student
from hetero.upgrade.config import UpgradeConfig
from hetero.upgrade.train import train_upgrade
from tests.hetero.nas import tiny
from tests.hetero.upgrade.tiny import SHAPE, cloud, dataset

RANK = int(os.environ.get("RANK", "0"))
DATA = dataset()
TRAINING = TrainingConfig(
    steps=4,
    classes_per_batch=3,
    images_per_class=2,
    validate_every=2,
    checkpoint_every=1,
    candidates_from=0.0,
    threads=1,
)
CONTRAST = ObjectiveConfig("supervised_contrastive")
SPREAD = ObjectiveConfig("tests.hetero.training.ranks_program:spread")


def spread(batch: Batch) -> Tensor:
    """An objective of a user's own that compares within the batch."""
    return (batch.embeddings @ batch.embeddings.T).square().mean()


class BrokenElsewhere(nn.Module):
    """Is finite on rank 0 only."""

    def forward(self, batch: Batch) -> Tensor:
        return batch.embeddings.sum() * (float("nan") if RANK else 1.0)


def module(*terms: ObjectiveConfig) -> TrainingModule:
    torch.manual_seed(0)
    return TrainingModule.of(EmbeddingModel("tiny", cloud().model, SHAPE), terms, Head(4, 8, "arcface", 0.1, 8.0))


def scored(figure: float) -> Judgement:
    return Judgement("score", {"score": figure})


def train(
    directory: Path, trained: TrainingModule, validate: Callable[[Any], Judgement] = lambda _: scored(0.5)
) -> Fitted:
    return fit(trained, DATA.train, TRAINING, Run(directory, "id", 1, "x"), validate=validate)


def losses(directory: Path) -> list[float]:
    lines = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def total(trained: nn.Module) -> float:
    return float(sum(tensor.double().abs().sum() for tensor in trained.state_dict().values()))


def models(out: Path) -> dict[str, list[float]]:
    """A cloud model, students beside it, a tuning and an upgrade: the losses of all their steps."""
    train_cloud(DATA, cloud(), SHAPE, out / "v1", seed=1)
    reference = CloudReference.from_model(out / "v1", DATA)
    previous = PreviousStudent.of(reference.train, reference.train, DATA.train)
    terms = (*StudentConfig("s").objectives, ObjectiveConfig("focal_update"), SPREAD, CONTRAST)
    student = StudentConfig("s", live=True, model=cloud().model, objectives=terms, training=TRAINING)
    train_student(DATA, reference, student, SHAPE, out / "student", previous=previous)
    student = dataclasses.replace(student, objectives=StudentConfig("s").objectives)
    tune_for_int8(DATA, reference, student, out / "student", out / "tuned", steps=2)
    inside = StudentConfig("inside", model=cloud().model, principal=4, refit=True, training=TRAINING)
    train_student(DATA, reference, inside, SHAPE, out / "inside")
    upgrade = UpgradeConfig(control=True)
    measured = train_upgrade(DATA, out / "v1", cloud(name="v2"), upgrade, SHAPE, out / "v2")
    assert measured.new == load_model(out / "v2").space.space_id
    return {name: losses(out / name) for name in ("v1", "student", "tuned", "inside", "v2", "v2/control")}


def fed(out: Path) -> dict[str, list[float]]:
    """Students whose batches are drawn by image, partly embedded live, or mixed; the weights averaged."""
    train_cloud(DATA, cloud(), SHAPE, out / "v0", seed=1)
    reference = CloudReference.from_model(out / "v0", DATA)
    terms = (ObjectiveConfig("cloud_regression"), ObjectiveConfig("instance_contrastive"))
    training = dataclasses.replace(TRAINING, batch=7, average=0.9)
    plain = StudentConfig("s", model=cloud().model, objectives=terms, training=training)
    mixing = dataclasses.replace(training, mixup=0.5)
    students = {
        "refreshed": dataclasses.replace(plain, refresh=0.4),
        "rarely": dataclasses.replace(plain, refresh=0.1),  # one image: the other rank has none
        "mixed": dataclasses.replace(plain, training=mixing),
        "mixed-live": dataclasses.replace(plain, training=mixing, live=True),
        "mixed-refreshed": dataclasses.replace(plain, training=mixing, refresh=0.4),
    }
    found: dict[str, list[float]] = {}
    for name, student in students.items():
        model = train_student(DATA, reference, student, SHAPE, out / name)
        found[name] = [*losses(out / name), total(model)]
    return found


def supernet(out: Path) -> dict[str, list[float]]:
    """Supernets of one path a step and of several, in float64: losses, and the sum of the shared weights."""
    data = tiny.dataset()
    reference = tiny.cloud(data)
    vectors, means = (values.astype(np.float64) for values in (reference.train, reference.prototypes))
    reference = dataclasses.replace(reference, train=vectors, prototypes=means)

    def fit_in_float64(trained: TrainingModule, images: Any, config: TrainingConfig, *rest: Any, **more: Any) -> Fitted:
        # No recipe may ask for it. A point is judged in float32.
        object.__setattr__(config, "precision", "64-true")
        return fit(trained, images, config, *rest, **more | {"validate": lambda _: scored(0.5)})

    supernet_training.fit = fit_in_float64
    seen: dict[str, list[float]] = {}
    for sampling in ("uniform", "sandwich"):
        config = dataclasses.replace(tiny.CONFIG, sampling=sampling, random_paths=1)
        trained = train_supernet(data, reference, tiny.SPACE, config, tiny.SHAPE, out / sampling, seed=3)
        stored = load_supernet(out / sampling).shared
        assert all(torch.equal(tensor, stored[name]) for name, tensor in trained.shared.items())
        seen[sampling] = [*losses(out / sampling), total(trained)]
    return seen


def contrast_alone(out: Path) -> list[float]:
    train(out / "contrast", module(CONTRAST))
    return losses(out / "contrast")


def judged(out: Path) -> list[float]:
    """A figure that would differ from rank to rank."""
    seen: list[int] = []

    def validate(_: object) -> Judgement:
        seen.append(RANK)
        return scored(0.25 + RANK)

    outcome = train(out / "judged", module(CONTRAST), validate)
    return [outcome.best.judgement.figure, len(seen)]


def ended(out: Path) -> list[float]:
    """Steps of a training that ends by a curve of which rank 0 alone takes looks, and its weights."""
    looks = count(1)
    config = dataclasses.replace(TRAINING, steps="auto", max_steps=40, validate_every=1)
    trained, run = module(CONTRAST), Run(out / "ended", "id", 1, "x")
    fitted = fit(trained, DATA.train, config, run, validate=lambda _: scored(min(0.1 * next(looks), 0.5)))
    return [fitted.steps, total(trained), next(looks) - 1]


def broken(out: Path) -> str:
    trained = module(CONTRAST)
    trained.objectives["supervised_contrastive"] = BrokenElsewhere()
    try:
        train(out / "broken", trained)
    except InputError as error:
        return str(error)
    return "trained"


def differing(out: Path) -> str:
    try:
        fit(
            module(CONTRAST),
            DATA.train,
            TRAINING,
            Run(out / "x", f"id of {RANK}", 1, "x"),
            validate=lambda _: scored(1),
        )
    except InputError as error:
        return str(error)
    return "trained"


def resumed(out: Path) -> list[float]:
    """Total weights of a run that never stopped, and of one that rank 0 stopped and all continued."""
    whole, first, second = (module(CONTRAST, ObjectiveConfig("own_head")) for _ in range(3))
    train(out / "whole", whole)

    def dies(_: object) -> Judgement:
        raise InputError("rank 0 alone comes here")

    try:
        train(out / "killed", first, dies)
    except InputError:
        train(out / "killed", second)
    return [total(whole), total(second), float(len(losses(out / "killed")))]


def normalised(_: Path) -> list[float]:
    """Largest differences between synchronised and ordinary batch norm over 5 images, of which rank 0 has 2."""
    generator = torch.Generator().manual_seed(0)
    whole, slope = torch.randn(2, 5, 3, 4, 4, generator=generator, dtype=torch.float64).unbind()
    norms = [nn.BatchNorm2d(3, dtype=torch.float64) for _ in range(2)]
    for norm in norms:
        norm.weight.data.copy_(torch.tensor([0.5, 2.0, -1.0]))
    mine = slice(0, 2) if RANK == 0 else slice(2, 5)
    expected, got = whole.clone().requires_grad_(), whole[mine].clone().requires_grad_()
    answer = norms[0](expected)
    (answer * slope).sum().backward()
    with SynchronisedBatchNorm():
        ours = norms[1](got)
    (ours * slope[mine]).sum().backward()
    for parameter in norms[1].parameters():
        dist.all_reduce(parameter.grad)
    pairs = [(ours, answer[mine]), (got.grad, expected.grad[mine])]
    pairs += [
        (ours.grad, theirs.grad) for ours, theirs in zip(norms[1].parameters(), norms[0].parameters(), strict=True)
    ]
    pairs += list(zip(norms[1].buffers(), norms[0].buffers(), strict=True))
    with SynchronisedBatchNorm():
        half = F.batch_norm(whole[mine].bfloat16(), None, None, training=True)
        kept = F.batch_norm(whole, torch.zeros(3).double(), torch.ones(3).double(), eps=0.0)
    assert half.dtype == torch.bfloat16 and torch.equal(kept, whole)
    return [float((one - other).detach().abs().max()) for one, other in pairs]


def main(out: Path, names: list[str]) -> None:
    seen = {name: globals()[name](out) for name in names}
    (out / f"rank{RANK}.json").write_text(json.dumps(seen))


if __name__ == "__main__":
    allow_code()
    main(Path(sys.argv[1]), sys.argv[2:])
