"""What training is judged by, and the space that a trained model defines."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from hetero.data.images import Dataset
from hetero.evaluation.retrieval import evaluate_tasks
from hetero.files import sha256_bytes
from hetero.models.cost import cost
from hetero.models.directory import weights_bytes
from hetero.models.embed import embed_images
from hetero.models.model import EmbeddingModel
from hetero.space import EmbeddingSpace
from hetero.training.cloud_reference import CloudReference
from hetero.training.loop import Fitted


def own_space(model: EmbeddingModel, *, version: str = "1", prototypes: str = "") -> EmbeddingSpace:
    """The space that a model's weights define.

    Args:
        model: Trained.
        version: For people.
        prototypes: SHA-256 of the class prototypes' file, if there is one.
    """
    return EmbeddingSpace.define(
        defined_by=sha256_bytes(weights_bytes(model)),
        name=model.name,
        version=version,
        dimension=model.config.dimension,
        preprocessing=model.preprocessing.digest,
        prototypes=prototypes,
    )


def training_metrics(fitted: Fitted, model: EmbeddingModel, seed: int) -> dict[str, Any]:
    """What ``metrics.json`` says of a trained model: its validation figure, its cost and its seed."""
    return {
        "validation_cmc@1": fitted.best,
        "best_step": fitted.best_step,
        **dataclasses.asdict(cost(model)),
        "seed": seed,
    }


def validation_cmc(dataset: Dataset, cloud: CloudReference | None = None) -> Callable[[EmbeddingModel], float]:
    """Validation figure of a model: mean cmc@1 over the validation tasks.

    Args:
        dataset: Gives validation images and tasks.
        cloud: When its validation embeddings are known they are the gallery; otherwise the model is its own gallery.
    """
    labels = np.asarray(dataset.validation.labels)

    def validate(model: EmbeddingModel) -> float:
        queries = embed_images(model, dataset.validation.images)
        gallery = queries if cloud is None or cloud.validation is None else cloud.validation
        return evaluate_tasks(queries, gallery, labels, dataset.validation_tasks).mean("cmc@1")

    return validate
