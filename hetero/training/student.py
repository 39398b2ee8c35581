"""Train a student: a small model that lives in the cloud model's embedding space."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import nn

from hetero.data.augmentation.config import LIGHT, UNCHANGED
from hetero.data.augmentation.copies import has_copies
from hetero.data.images import Dataset, ImageSet
from hetero.errors import InputError
from hetero.files import digest
from hetero.geometry.principal import PrincipalDirections
from hetero.models.directory import save_model
from hetero.models.model import EmbeddingModel
from hetero.objectives.head import Head
from hetero.preprocessing import Preprocessing
from hetero.processes.ranks import on_first_rank
from hetero.training.batches.labels import require_labels, with_labels_where_needed
from hetero.training.budget import fit_budget, most_macs
from hetero.training.config import StudentConfig, TrainingConfig
from hetero.training.distributed.connect import connect
from hetero.training.judging.validation import validation
from hetero.training.loop.loop import fit
from hetero.training.loop.module import TrainingModule
from hetero.training.loop.run import Run
from hetero.training.outcome import own_space, training_metrics
from hetero.training.principal_layer import start_at
from hetero.training.principal_start import principal_start
from hetero.training.reference.cloud_reference import CloudReference
from hetero.training.reference.cloud_tensors import cloud_tensors
from hetero.training.reference.previous import PreviousStudent, start_from
from hetero.training.refit import refit, require_validation
from hetero.training.seeds import seed_of
from hetero.training.start import start_at_weights, start_identity, start_of
from hetero.training.threads import in_own_threads


@in_own_threads
def train_student(
    dataset: Dataset,
    cloud: CloudReference | None,
    config: StudentConfig,
    preprocessing: Preprocessing,
    directory: Path,
    *,
    previous: PreviousStudent | None = None,
    start: nn.Module | None = None,
    cloud_macs: int = 0,
    seed: int = 0,
    resume: bool = True,
) -> EmbeddingModel:
    """Train a student and write its model directory.

    The cloud model does not run, its cached embeddings stand in for it, unless ``config.live`` is set.

    Args:
        dataset: Images. Weights are chosen on its validation images, see :mod:`hetero.training.judging.validation`.
        cloud: The space, the cached embeddings and the prototypes. None trains without them, in a space of the
            student's own: a control that shows the worth of compatible training.
        config: Architecture and budget, objectives and training.
        preprocessing: Part of the model; images that were prepared otherwise are prepared once more.
        directory: Receives the model directory, checkpoint and log.
        previous: The student that this one replaces, for objectives that hold on to its right answers.
        start: Weights to start from, instead of a directory named by the configuration: an
            :class:`hetero.models.model.EmbeddingModel`, or a backbone of the same architecture.
        cloud_macs: The cloud model's cost, for ``max_macs_share``.
        seed: Fixes initial weights, batches and augmentation.
        resume: True to continue from a checkpoint of the same run.

    Returns:
        The model, in evaluation mode, with the cloud's embedding space.

    Raises:
        InputError: When ``config.live`` is set and only embeddings are given, a previous student comes without a cloud
            model, or a share of the cloud's cost without ``cloud_macs``; when an objective learns from labels and a
            training image has none; when no width fits the budget, or the start is of another architecture.
    """
    if previous and not cloud:
        raise InputError("a student replaces another within a space: give the cloud model, too")
    require_validation(config, cloud)
    if not cloud:
        dataset = with_labels_where_needed(config.objectives, dataset)
    require_labels(config.objectives, dataset, f"student {config.name}", has_cloud=bool(cloud))
    dataset = dataset.prepared_by(preprocessing)
    torch.manual_seed(seed)
    dimension = cloud.space.dimension if cloud else config.model.dimension
    directions = _directions(config, cloud, cloud_macs) if cloud else None
    principal = directions.count if directions else 0
    architecture = fit_budget(config, dimension, preprocessing, cloud_macs, principal=principal)
    model = EmbeddingModel(config.name, architecture, preprocessing)
    if directions:
        start_at(model, directions)
    if (weights := start_of(config, start)) is not None:
        start_at_weights(model, weights, cloud.space if cloud else None)
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
    judge = validation(dataset, cloud, config.training.judged_by)
    identity = digest(
        [
            "student",
            dataclasses.asdict(config),
            architecture.width,
            architecture.principal,
            preprocessing.to_dict(),
            dataset.fingerprint,
            cloud.identity if cloud else "",
            seed,
            *([previous.identity] if previous else []),
            *start_identity(weights),
        ]
    )
    who = f"student {config.name}"
    cached = cloud_tensors(cloud, dataset, live=config.embeds_live, who=who, seed=seed) if cloud else None
    inputs = previous.inputs if previous else {}
    run = Run(directory, identity, seed, f"training {config.name}", resume)
    training = _training(config, cloud, dataset.train)
    fitted = fit(module, dataset.train, training, run, validate=judge, cloud=cached, inputs=inputs)
    notes: dict[str, Any] = {}
    if config.refit and cloud:
        fitted, outcome, weights = on_first_rank(
            lambda: (*refit(model, dataset, cloud, fitted, judge), model.state_dict())
        )
        model.load_state_dict(weights)
        notes = {"refit": dataclasses.asdict(outcome)}
    model.space = cloud.space if cloud else own_space(model)
    on_first_rank(lambda: save_model(directory, model, training_metrics(fitted, model, seed) | notes))
    return model


def _directions(config: StudentConfig, cloud: CloudReference, cloud_macs: int) -> PrincipalDirections | None:
    """Return the directions of rank 0's vectors on every rank, because their number decides the weights' shapes."""
    connect(config.training)
    return on_first_rank(lambda: principal_start(config, cloud.train, macs=most_macs(config, cloud_macs)))


def _training(config: StudentConfig, cloud: CloudReference | None, images: ImageSet) -> TrainingConfig:
    """Return the student's training: with light changes to the images where the cloud's vectors are the targets.

    Cached vectors of changed copies would not match further changes; a live cloud embeds those, too.
    """
    training = config.training
    if training.augment or not cloud:
        return training
    changes = UNCHANGED if not config.embeds_live and has_copies(images.names) else LIGHT
    return dataclasses.replace(training, augment=dataclasses.replace(changes, flip=0.5 if cloud.mirrors else 0.0))
