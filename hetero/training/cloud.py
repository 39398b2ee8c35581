"""Train the cloud model: the large one that defines the embedding space."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional as F

from hetero.data.images import Dataset
from hetero.files import digest
from hetero.models.directory import save_model, save_prototypes
from hetero.models.model import EmbeddingModel
from hetero.objectives.config import ObjectiveConfig
from hetero.objectives.head import Head
from hetero.preprocessing import Preprocessing
from hetero.processes.ranks import on_first_rank
from hetero.training.batches.labels import require_labels, with_labels_where_needed
from hetero.training.config import CloudConfig
from hetero.training.judging.judgement import Judgement
from hetero.training.judging.validation import validation
from hetero.training.loop.loop import fit
from hetero.training.loop.module import TrainingModule
from hetero.training.loop.run import Run
from hetero.training.outcome import own_space, training_metrics
from hetero.training.reference.cloud_reference import CloudReference
from hetero.training.reference.cloud_tensors import cloud_tensors
from hetero.training.seeds import seed_of
from hetero.training.threads import in_own_threads


@dataclass(frozen=True)
class Beside:
    """An old model that a new one is trained beside; the new one still defines its own space.

    Attributes:
        old: The old model's embeddings, prototypes and space.
        objectives: Terms that compare with it, in addition to the new model's own.
        live: Run it on each augmented batch instead of taking its cached vectors.
        validate: Judges the model; None measures how well it searches its own gallery.
    """

    old: CloudReference
    objectives: tuple[ObjectiveConfig, ...]
    live: bool = False
    validate: Callable[[EmbeddingModel], Judgement] | None = None


@in_own_threads
def train_cloud(
    dataset: Dataset,
    config: CloudConfig,
    preprocessing: Preprocessing,
    directory: Path,
    *,
    beside: Beside | None = None,
    seed: int = 0,
    resume: bool = True,
) -> EmbeddingModel:
    """Train a cloud model and write its model directory.

    Args:
        dataset: Images; weights are chosen on its validation images, see :mod:`hetero.training.judging.validation`.
            Where an objective learns from labels, the model is trained on the images that have one.
        config: Architecture, head, objectives and training.
        preprocessing: Part of the model; images that were prepared otherwise are prepared once more.
        directory: Receives the model directory, checkpoint and log.
        beside: An old model to stay close to, and the terms that keep it close; None trains freely.
        seed: Fixes initial weights, batches and augmentation.
        resume: True to continue from a checkpoint of the same run.

    Returns:
        The model, in evaluation mode, with its embedding space.

    Raises:
        InputError: When an objective learns from labels and no training image has one; beside an old model, whose
            vectors belong to all images, when any training image lacks one.
    """
    terms = config.objectives + (beside.objectives if beside else ())
    if not beside:
        dataset = with_labels_where_needed(terms, dataset)
    require_labels(terms, dataset, f"cloud model {config.name}", has_cloud=bool(beside))
    dataset = dataset.prepared_by(preprocessing)
    torch.manual_seed(seed)
    old = beside.old if beside else None
    model = EmbeddingModel(config.name, config.model, preprocessing)
    head = Head(
        classes=len(dataset.train.classes),
        dimension=config.model.dimension,
        kind=config.head.kind,
        margin=config.head.margin,
        scale=config.head.scale,
        cloud_prototypes=torch.from_numpy(old.prototypes) if old else None,
        seed=seed_of("upgrade", seed) if old else seed,
        from_cloud=False,
    )
    module = TrainingModule.of(model, terms, head)
    run = Run(
        directory, _identity(dataset, config, preprocessing, beside, seed), seed, f"training {config.name}", resume
    )
    fitted = fit(
        module,
        dataset.train,
        config.training,
        run,
        validate=(beside and beside.validate) or validation(dataset, None, config.training.judged_by),
        cloud=cloud_tensors(beside.old, dataset, live=float(beside.live), who=config.name, seed=seed)
        if beside
        else None,
    )
    prototypes = on_first_rank(lambda: _save_head(directory, module, dataset))
    model.space = own_space(model, version=config.version, prototypes=prototypes)
    on_first_rank(lambda: save_model(directory, model, training_metrics(fitted, model, seed)))
    return model


def _identity(
    dataset: Dataset, config: CloudConfig, preprocessing: Preprocessing, beside: Beside | None, seed: int
) -> str:
    own = ["cloud", dataclasses.asdict(config), preprocessing.to_dict(), dataset.fingerprint, seed]
    if not beside:
        return digest(own)
    return digest([own, beside.old.identity, [dataclasses.asdict(term) for term in beside.objectives], beside.live])


def _save_head(directory: Path, module: TrainingModule, dataset: Dataset) -> str:
    if module.own_head is None:
        return ""
    return save_prototypes(directory, F.normalize(module.own_head.prototypes, dim=1), dataset.train.classes)
