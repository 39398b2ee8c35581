"""Train the cloud model: the large one that defines the embedding space."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch.nn import functional as F

from hetero.data.images import Dataset
from hetero.files import digest
from hetero.models.directory import save_model, save_prototypes
from hetero.models.model import EmbeddingModel
from hetero.objectives.margin_softmax import MarginSoftmax
from hetero.objectives.registry import Head
from hetero.preprocessing import Preprocessing
from hetero.training.config import CloudConfig
from hetero.training.loop import Run, fit
from hetero.training.module import TrainingModule
from hetero.training.outcome import own_space, training_metrics, validation_cmc


def train_cloud(
    dataset: Dataset,
    config: CloudConfig,
    preprocessing: Preprocessing,
    directory: Path,
    *,
    seed: int = 0,
    resume: bool = True,
) -> EmbeddingModel:
    """Train a cloud model and write its model directory.

    Args:
        dataset: Images; weights are chosen by mean cmc@1 over its validation tasks.
        config: Architecture, head, objectives and training.
        preprocessing: Part of the model.
        directory: Where the model directory, checkpoint and log go.
        seed: Fixes initial weights, batches and augmentation.
        resume: Whether to continue from a checkpoint of the same run.

    Returns:
        The model, in evaluation mode, with its embedding space.
    """
    torch.manual_seed(seed)
    model = EmbeddingModel(config.name, config.model, preprocessing)
    head = Head(
        classes=len(dataset.train.classes),
        dimension=config.model.dimension,
        kind=config.head.kind,
        margin=config.head.margin,
        scale=config.head.scale,
        seed=seed,
    )
    module = TrainingModule.of(model, config.objectives, head)
    identity = digest(["cloud", dataclasses.asdict(config), preprocessing.to_dict(), dataset.fingerprint, seed])
    run = Run(directory, identity, seed, f"training {config.name}", resume)
    fitted = fit(module, dataset.train, config.training, run, validate=validation_cmc(dataset))
    own = dict(module.objectives.items()).get("own_head")
    prototypes = (
        save_prototypes(directory, F.normalize(own.prototypes, dim=1)) if isinstance(own, MarginSoftmax) else ""
    )
    model.space = own_space(model, version=config.version, prototypes=prototypes)
    save_model(directory, model, training_metrics(fitted, model, seed))
    return model
