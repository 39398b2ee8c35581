"""The cloud's part of a batch, for terms that compare the student's vectors with the cloud's directly."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from hetero.errors import InputError
from hetero.objectives.batch import Batch


@dataclass(frozen=True)
class CloudSide:
    """The cloud model's vectors for a batch.

    Attributes:
        vectors: float [b, d], vectors of the batch's images.
        gallery: float [n, d], vectors to compare with: the bank, or the batch itself when there is no bank.
        labels: int64 [n], classes of the gallery.
        own: int64 [b], the gallery's row of each image, -1 when it is not there.
    """

    vectors: Float[Tensor, "b d"]
    gallery: Float[Tensor, "n d"]
    labels: Int[Tensor, " n"]
    own: Int[Tensor, " b"]

    @classmethod
    def of(cls, batch: Batch, name: str) -> CloudSide:
        """Return the cloud's part of a batch.

        Args:
            batch: One training step.
            name: Name of the objective in messages.

        Raises:
            InputError: When the batch carries no cloud embeddings, or their dimension is not the student's.
        """
        vectors = cloud_vectors(batch, name)
        if batch.bank is None or batch.bank_labels is None:
            return cls(vectors, vectors, batch.labels, torch.arange(len(vectors), device=vectors.device))
        own = batch.rows if batch.rows is not None else torch.full_like(batch.labels, -1)
        return cls(vectors, batch.bank, batch.bank_labels, own)

    def similarities(self, vectors: Float[Tensor, "b d"]) -> Float[Tensor, "b n"]:
        """Return the cosines with the gallery; an image's own entry is minus infinity."""
        return (vectors @ self.gallery.T).masked_fill(is_own(self.own, len(self.gallery)), -torch.inf)


def cloud_vectors(batch: Batch, name: str) -> Float[Tensor, "b d"]:
    """Return the cloud's vectors of the batch's images.

    Raises:
        InputError: When there are no such vectors, or their dimension is not the student's.
    """
    if batch.cloud is None:
        raise InputError(f"the objective {name} needs the cloud model's embeddings of the training images")
    ours, theirs = batch.embeddings.shape[1], batch.cloud.shape[1]
    if ours != theirs:
        raise InputError(
            f"the objective {name} compares vectors of the two models directly: expected one dimension, got {ours} "
            f"(model in training) and {theirs} (cloud); give the model dimension = {theirs}, or use cloud_head, which "
            "truncates or pads"
        )
    return batch.cloud


def comparable(batch: Batch, name: str, *, centred: bool) -> Batch:
    """Return the batch for an objective that compares vectors, or their directions from the space's centre.

    Raises:
        InputError: As for :func:`cloud_vectors`.
    """
    cloud_vectors(batch, name)
    return batch.centred() if centred else batch


def is_own(own: Int[Tensor, " b"], count: int) -> Bool[Tensor, "b n"]:
    """Return True where an image (row) has its own entry among ``count`` of the gallery (columns)."""
    return torch.arange(count, device=own.device)[None, :] == own[:, None]


def nearest(side: CloudSide, count: int, name: str) -> tuple[Float[Tensor, "b k"], Int[Tensor, "b k"]]:
    """Return each image's nearest neighbours in the gallery by the cloud's vectors, nearest first, without itself.

    Args:
        side: The cloud's part of a batch.
        count: Number of neighbours.
        name: Name of the objective in messages.

    Returns:
        Cosines and rows of the gallery.

    Raises:
        InputError: When the gallery has too few entries.
    """
    available = len(side.gallery) - 1
    if count > available:
        raise InputError(
            f"the objective {name} compares {count} neighbours of each image, and there are {available}; "
            f"set neighbours = {available} or less"
        )
    top = side.similarities(side.vectors).detach().topk(count, dim=1)
    return top.values, top.indices
