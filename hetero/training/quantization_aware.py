"""Fine-tune a student for int8: it trains with the rounding of its int8 file, against the cached cloud embeddings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from hetero.data.images import Dataset, ImageSet
from hetero.files import digest
from hetero.models.directory import load_model, save_model
from hetero.models.fake_quant import fake_quantised
from hetero.models.model import EmbeddingModel
from hetero.objectives.head import Head
from hetero.processes.ranks import on_first_rank
from hetero.training.batches.labels import require_labels
from hetero.training.config import StudentConfig, TrainingConfig
from hetero.training.judging.validation import validation
from hetero.training.loop.loop import fit
from hetero.training.loop.module import TrainingModule
from hetero.training.loop.run import Run
from hetero.training.optimisation.rates import peak_rate
from hetero.training.outcome import training_metrics
from hetero.training.reference.cloud_reference import CloudReference
from hetero.training.reference.cloud_tensors import cloud_tensors
from hetero.training.seeds import seed_of
from hetero.training.threads import in_own_threads

RANGE_IMAGES = 256
RATE = 0.02
"""Share of the student's own learning rate: the weights are to move within their rounding."""


@in_own_threads
def tune_for_int8(
    dataset: Dataset,
    cloud: CloudReference,
    config: StudentConfig,
    student: Path,
    directory: Path,
    *,
    steps: int = 200,
    seed: int = 0,
    resume: bool = True,
) -> EmbeddingModel:
    """Fine-tune a trained student with fake quantisation and write its model directory.

    The same loop, objectives and images as the student's own training; the result has the student's architecture, and
    exporting it in int8 gives the numbers that it was tuned with.

    Args:
        dataset: The student's training data. Weights are chosen by the validation figure of the rounded model.
        cloud: The cached embeddings that the student was trained against.
        config: The student's configuration, for its objectives, head and batches.
        student: The student's model directory.
        directory: Receives the tuned model directory, checkpoint and log.
        steps: Steps of fine-tuning.
        seed: Fixes batches and augmentation.
        resume: True to continue from a checkpoint of the same run.

    Returns:
        The model, in evaluation mode, in the student's embedding space.

    Raises:
        SpaceMismatchError: When the student lives in another space than the cloud's embeddings.
    """
    require_labels(config.objectives, dataset, f"student {config.name}", has_cloud=True)
    torch.manual_seed(seed)
    model = load_model(student)
    assert model.space is not None
    dataset = dataset.prepared_by(model.preprocessing)
    cloud.space.require_same(model.space, this="the cloud's embeddings", that=f"the student {model.name}")
    training = short(config.training, steps)
    head = Head(
        classes=len(dataset.train.classes),
        dimension=cloud.space.dimension,
        kind=config.head.kind,
        margin=config.head.margin,
        scale=config.head.scale,
        cloud_prototypes=torch.from_numpy(cloud.prototypes),
        seed=seed_of(config.name, seed),
    )
    identity = digest(
        ["int8", dataclasses.asdict(config), steps, _weights(student), dataset.fingerprint, cloud.identity, seed]
    )
    run = Run(directory, identity, seed, f"tuning {model.name} for int8", resume)
    with fake_quantised(model, _spread(dataset.train)):
        module = TrainingModule.of(model, config.objectives, head)
        cached = cloud_tensors(cloud, dataset, live=config.embeds_live, who=f"student {config.name}", seed=seed)
        judge = validation(dataset, cloud, training.judged_by)
        fitted = fit(module, dataset.train, training, run, validate=judge, cloud=cached)
    metrics = training_metrics(fitted, model, seed) | {"tuned_for": "int8"}
    on_first_rank(lambda: save_model(directory, model, metrics))
    return model.eval()


def short(training: TrainingConfig, steps: int) -> TrainingConfig:
    """Return the training of a fine-tuning: few steps of AdamW at a small rate, each look at validation a candidate.

    It runs in float32: bfloat16 rounds as coarsely as int8 does, and a model would be tuned to both. It is
    not compiled: so few steps do not repay that.
    """
    rate = training.learning_rate if training.optimizer == "adamw" else None
    adamw = dataclasses.replace(training, optimizer="adamw", steps=steps, learning_rate=rate)
    return dataclasses.replace(
        adamw,
        learning_rate=peak_rate(adamw) * RATE,
        validate_every=max(1, steps // 8),
        candidates_from=0.0,
        precision="32-true",
        compile=False,
        average=0.0,
    )


def _spread(images: ImageSet) -> UInt8[Tensor, "n h w 3"]:
    rows = np.unique(np.linspace(0, len(images.names) - 1, RANGE_IMAGES).round().astype(np.int64))
    return torch.from_numpy(np.ascontiguousarray(images.images[rows]))


def _weights(directory: Path) -> str:
    from hetero.files import sha256_file

    return sha256_file(directory / "model.safetensors")
