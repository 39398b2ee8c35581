"""From what is known of a cloud model to what the training loop is given of it."""

from __future__ import annotations

import numpy as np
import torch

from hetero.data.copies import sources_of
from hetero.data.images import Dataset
from hetero.errors import InputError
from hetero.preprocessing import Preprocessing
from hetero.training.bank import bank_rows
from hetero.training.cloud_reference import CloudReference
from hetero.training.module import CloudTensors
from hetero.training.previous import PreviousStudent
from hetero.training.seeds import seed_of


def cloud_tensors(
    cloud: CloudReference,
    dataset: Dataset,
    *,
    live: bool,
    who: str,
    seed: int,
    previous: PreviousStudent | None = None,
) -> CloudTensors:
    """Tensors of the cloud's vectors in the order of the training images.

    Args:
        cloud: What is known of the cloud model.
        dataset: The images that are trained on.
        live: Run the cloud model on each augmented batch.
        who: Names what is trained in the error message.
        seed: Decides which of many images make the bank.
        previous: The student to be replaced, if there is one.

    Raises:
        InputError: When a live cloud model is asked for and only embeddings are given, or it takes other images.
    """
    if live and cloud.model is None:
        raise InputError(
            f"{who}: live = true runs the cloud model on each augmented batch, but only its embeddings are known; "
            "give a model directory (CloudReference.from_model), or set live = false"
        )
    if live and cloud.model is not None:
        _require_same_images(cloud.model.preprocessing, dataset, who)
    labels, sources = np.asarray(dataset.train.labels), sources_of(dataset.train.names)
    return CloudTensors(
        torch.from_numpy(cloud.train),
        torch.as_tensor(labels),
        torch.from_numpy(bank_rows(labels, sources, seed=seed_of("bank", seed), classes=len(dataset.train.classes))),
        sources=torch.from_numpy(sources),
        prototypes=torch.from_numpy(cloud.prototypes),
        live=cloud.model if live else None,
        previous=torch.from_numpy(previous.train) if previous else None,
        previous_right=torch.from_numpy(previous.right) if previous else None,
    )


def _require_same_images(preprocessing: Preprocessing, dataset: Dataset, who: str) -> None:
    if dataset.train.prepared_by(preprocessing) is not dataset.train:
        raise InputError(
            f"{who}: live = true shows the cloud model the very images that are trained on, and it takes others, of "
            f"{preprocessing.in_words}; set live = false, and give it changed copies (hetero.with_copies, cloud.copies)"
        )
