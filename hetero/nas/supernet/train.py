"""Train a supernet against the cloud's cached embeddings, by the same loop as every other model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from hetero.data.images import Dataset
from hetero.files import digest
from hetero.models.batch_norm import estimate_statistics
from hetero.nas.evaluation.reward import rewards
from hetero.nas.evaluation.reward_set import RewardSet
from hetero.nas.space.space import SearchSpace
from hetero.nas.supernet.config import SupernetConfig
from hetero.nas.supernet.directory import save_supernet
from hetero.nas.supernet.paths import Paths
from hetero.nas.supernet.shared_weights import Frame
from hetero.nas.supernet.supernet import Supernet
from hetero.objectives.head import Head
from hetero.preprocessing import Preprocessing
from hetero.processes.ranks import on_first_rank
from hetero.training.batches.labels import require_labels
from hetero.training.judging.judgement import Judgement
from hetero.training.loop.loop import fit
from hetero.training.loop.module import CloudTensors, TrainingModule
from hetero.training.loop.run import Run
from hetero.training.reference.cloud_reference import CloudReference
from hetero.training.reference.cloud_tensors import cloud_tensors
from hetero.training.seeds import seed_of
from hetero.training.threads import in_own_threads

WATCHED = 4
"""Random points whose mean M(a, g) the log shows as the supernet's validation figure."""


class SupernetModule(TrainingModule):
    """A supernet with its objectives, which all points share; a step's loss is the mean over the step's paths.

    Args:
        supernet: The supernet in training.
        module: A training module built for it, whose objectives and their weights are taken over.
        paths: The points that each step trains, the same on every rank. Steps are counted in a buffer, so that a
            checkpoint holds the count.
    """

    trains_in_parts = True
    steps: Tensor

    def __init__(self, supernet: Supernet, module: TrainingModule, paths: Paths) -> None:
        super().__init__(supernet, dict(module.objectives.items()), module.weights, by_class=module.by_class)
        self.paths = paths
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(
        self,
        pixels: Float[Tensor, "b 3 h w"],
        labels: Int[Tensor, " b"],
        rows: Int[Tensor, " b"],
        cloud: CloudTensors | None,
        targets: Float[Tensor, "b c"] | None = None,
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Average the results of :meth:`TrainingModule.forward` over the step's paths."""
        supernet = self.model
        assert isinstance(supernet, Supernet)
        outcomes: list[tuple[Tensor, dict[str, Tensor]]] = []
        for path in self.paths.of(int(self.steps)):
            supernet.path = path
            outcomes.append(super().forward(pixels, labels, rows, cloud, targets))
        self.steps += 1
        total = torch.stack([loss for loss, _ in outcomes]).mean()
        return total, {name: torch.stack([terms[name] for _, terms in outcomes]).mean() for name in outcomes[0][1]}


@in_own_threads
def train_supernet(
    dataset: Dataset,
    cloud: CloudReference,
    space: SearchSpace,
    config: SupernetConfig,
    preprocessing: Preprocessing,
    directory: Path,
    *,
    seed: int = 0,
    resume: bool = True,
) -> Supernet:
    """Train a supernet and write its directory.

    :class:`hetero.nas.evaluation.reward.SupernetReward` then judges points with it.

    Args:
        dataset: Images; points are judged on its validation tasks.
        cloud: The cached embeddings that students are trained against, with those of the validation images.
        space: The search space.
        config: Sampling, objectives and training.
        preprocessing: Part of every point's model; images that were prepared otherwise are prepared once more.
        directory: Receives weights, checkpoint and log.
        seed: Fixes initial weights, paths, batches and augmentation.
        resume: True to continue from a checkpoint of the same run.

    Raises:
        InputError: When the cloud's vectors of the validation images are not known; when the configuration is not
            valid.
    """
    require_labels(config.objectives, dataset, "the supernet", has_cloud=True)
    dataset = dataset.prepared_by(preprocessing)
    data = RewardSet.of(
        dataset,
        cloud,
        calibration=config.calibration,
        validation=config.validation,
        distractors=config.distractors,
        seed=seed,
    )
    torch.manual_seed(seed)
    supernet = Supernet(Frame(space, cloud.space.dimension, preprocessing))
    head = Head(
        classes=len(dataset.train.classes),
        dimension=cloud.space.dimension,
        kind=config.head.kind,
        margin=config.head.margin,
        scale=config.head.scale,
        cloud_prototypes=torch.from_numpy(cloud.prototypes),
        seed=seed_of("supernet", seed),
    )
    assert config.training.steps != "auto"  # refused by the configuration
    opening = round(config.opening * config.training.steps)
    paths = Paths(space, config.sampling, config.random_paths, seed, opening)
    module = SupernetModule(supernet, TrainingModule.of(supernet, config.objectives, head), paths)
    settings = [dataclasses.asdict(config), dataclasses.asdict(space), preprocessing.to_dict()]
    run = Run(
        directory,
        digest(["supernet", settings, dataset.fingerprint, cloud.identity, seed]),
        seed,
        "training the supernet",
        resume,
    )
    cached = cloud_tensors(cloud, dataset, who="the supernet", seed=seed)
    watch = _watching(space, data, seed)
    # On few points' figures no step is better than the last, whose learning rate is lowest.
    training = dataclasses.replace(config.training, candidates_from=1.0)
    fitted = fit(module, dataset.train, training, run, validate=watch, cloud=cached)
    metrics = {
        "steps": fitted.steps,
        "best_step": fitted.best.step,
        "validation_map@r": fitted.best.judgement.figure,
        "watched": WATCHED,
        "parameters": sum(parameter.numel() for parameter in supernet.parameters()),
        "points": space.size,
        "seed": seed,
    }
    on_first_rank(lambda: save_supernet(directory, supernet.frame, supernet.shared, data, cloud.space, metrics))
    return supernet


def _watching(space: SearchSpace, data: RewardSet, seed: int) -> Callable[[Supernet], Judgement]:
    """Return the validation of a supernet: mean M(a, g), map@r, of some fixed random points."""
    rng = np.random.default_rng(seed_of("watched points", seed))
    points = [space.sample(rng) for _ in range(WATCHED)]
    calibration = torch.from_numpy(data.calibration)

    def validate(supernet: Supernet) -> Judgement:
        figures: list[float] = []
        for point in points:
            model = supernet.candidate(point)
            estimate_statistics(model, calibration)
            figures.append(rewards(model, data)["r2"])
        return Judgement("map@r", {"map@r": float(np.mean(figures))})

    return validate
