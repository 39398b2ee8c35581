"""Train a student: a small model that lives in the cloud model's embedding space."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from hetero.data.images import Dataset
from hetero.errors import InputError
from hetero.files import digest
from hetero.models.directory import save_model
from hetero.models.model import EmbeddingModel
from hetero.objectives.registry import Head
from hetero.preprocessing import Preprocessing
from hetero.training.budget import fit_budget
from hetero.training.cloud_reference import CloudReference
from hetero.training.cloud_tensors import cloud_tensors
from hetero.training.config import StudentConfig
from hetero.training.loop import fit
from hetero.training.module import TrainingModule
from hetero.training.outcome import own_space, training_metrics
from hetero.training.previous import PreviousStudent, start_from
from hetero.training.ranks import on_first_rank
from hetero.training.run import Run
from hetero.training.seeds import seed_of
from hetero.training.validation import validation


def train_student(
    dataset: Dataset,
    cloud: CloudReference | None,
    config: StudentConfig,
    preprocessing: Preprocessing,
    directory: Path,
    *,
    previous: PreviousStudent | None = None,
    cloud_macs: int = 0,
    seed: int = 0,
    resume: bool = True,
) -> EmbeddingModel:
    """Train a student and write its model directory.

    The cloud model does not run, its cached embeddings stand in for it; unless ``config.live`` asks for it.

    Args:
        dataset: Images. Weights are chosen on its validation images, see :mod:`hetero.training.validation`.
        cloud: The space, the cached embeddings and the prototypes. None trains without the constraint, in a space of
            the model's own: a control that shows what compatible training is for.
        config: Architecture and budget, objectives and training.
        preprocessing: Part of the model; images that were prepared otherwise are prepared once more.
        directory: Where the model directory, checkpoint and log go.
        previous: The student that this one replaces, for objectives that hold on to its right answers.
        cloud_macs: The cloud model's cost, for ``max_macs_share``.
        seed: Fixes initial weights, batches and augmentation.
        resume: Whether to continue from a checkpoint of the same run.

    Returns:
        The model, in evaluation mode, with the cloud's embedding space.

    Raises:
        InputError: When a live cloud model is asked for and only embeddings are given, a previous student without a
            cloud model, or a share of the cloud's cost without ``cloud_macs``; or when no width fits the budget.
    """
    if previous and not cloud:
        raise InputError("a student replaces another within a space: give the cloud model, too")
    dataset = dataset.prepared_by(preprocessing)
    torch.manual_seed(seed)
    dimension = cloud.space.dimension if cloud else config.model.dimension
    architecture = fit_budget(config, dimension, preprocessing, cloud_macs)
    model = EmbeddingModel(config.name, architecture, preprocessing)
    start_from(model, previous)
    head = Head(
        classes=len(dataset.train.classes),
        dimension=dimension,
        kind=config.head.kind,
        margin=config.head.margin,
        scale=config.head.scale,
        cloud_prototypes=torch.from_numpy(cloud.prototypes) if cloud else None,
        seed=seed_of(config.name, seed),
    )
    module = TrainingModule.of(model, config.objectives, head)
    judged = validation(dataset, cloud, config.training.judged_by)
    identity = digest(
        [
            "student",
            dataclasses.asdict(config),
            architecture.width,
            preprocessing.to_dict(),
            dataset.fingerprint,
            cloud.identity if cloud else "",
            seed,
            *([previous.identity] if previous else []),
        ]
    )
    who = f"student {config.name}"
    cached = cloud_tensors(cloud, dataset, live=config.live, who=who, seed=seed, previous=previous) if cloud else None
    run = Run(directory, identity, seed, f"training {config.name}", resume)
    fitted = fit(module, dataset.train, config.training, run, validate=judged, cloud=cached)
    model.space = cloud.space if cloud else own_space(model)
    on_first_rank(lambda: save_model(directory, model, training_metrics(fitted, model, seed)))
    return model
