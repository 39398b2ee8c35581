"""The cloud's tensors for the training loop, from a reference to the cloud model."""

from __future__ import annotations

import numpy as np
import torch

from hetero.data.augmentation.copies import sources_of
from hetero.data.embeddings.mapped import MappedVectors
from hetero.data.images import Dataset
from hetero.errors import InputError
from hetero.training.loop.module import CloudTensors
from hetero.training.reference.bank import bank_rows
from hetero.training.reference.cloud_reference import CloudReference
from hetero.training.reference.live import LiveCloud
from hetero.training.seeds import seed_of


def cloud_tensors(
    cloud: CloudReference,
    dataset: Dataset,
    *,
    live: float = 0.0,
    who: str,
    seed: int,
) -> CloudTensors:
    """Return tensors of the cloud's vectors in the order of the training images; vectors in shards stay where they are.

    Args:
        cloud: The cloud's embeddings, prototypes and space.
        dataset: The training data.
        live: Share of each batch that the cloud model embeds with its random changes.
        who: Name of the model in the error message.
        seed: Decides which of many images make the bank.

    Raises:
        InputError: When a live cloud model is configured and only embeddings are given, or it expects another
            preparation of the images and only their pixels are at hand.
    """
    if live and cloud.model is None:
        raise InputError(
            f"{who}: {'live = true' if live == 1 else f'refresh = {live:g}'} runs the cloud model on images as they "
            "are changed, but only its embeddings are known; give the model (CloudReference.from_model, "
            "from_embedder), or leave it out"
        )
    labels, sources = np.asarray(dataset.train.labels), sources_of(dataset.train.names)
    return CloudTensors(
        cloud.train if isinstance(cloud.train, MappedVectors) else torch.from_numpy(cloud.train),
        torch.as_tensor(labels),
        torch.from_numpy(bank_rows(labels, sources, seed=seed_of("bank", seed), classes=len(dataset.train.classes))),
        sources=torch.from_numpy(sources),
        prototypes=torch.from_numpy(cloud.prototypes),
        texts=None if cloud.texts is None else torch.from_numpy(cloud.texts),
        mean=torch.from_numpy(cloud.centre),
        live=LiveCloud.of(cloud.model, live, dataset.train) if live and cloud.model else None,
    )
