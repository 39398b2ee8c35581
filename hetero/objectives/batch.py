"""The input of an objective in a training step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor
from torch.nn import functional as F

from hetero.errors import InputError


@dataclass(frozen=True)
class Batch:
    """One whole embedded batch, including the images of other ranks; float32 whatever the training's precision.

    In a model upgrade "the cloud model" is the old model.

    Attributes:
        embeddings: float32 [b, d], unit vectors of the model in training.
        labels: int64 [b], class of each image.
        cloud: float32 [b, c], unit vectors of the *same images* by the cloud model, cached or computed in this step;
            None when there is no cloud model.
        bank: float32 [n, c], unit vectors of training images by the cloud model, the same number of each class where
            not all fit (:mod:`hetero.training.reference.bank`); None when there is no bank.
        bank_labels: int64 [n], classes of the bank.
        rows: int64 [b], the bank's row of each image (for a changed copy: of its original); -1 when it is not there.
        logits: float32 [b, k], scale times the cosines with the own head's prototypes, without margin; only for
            objectives that need ``own_head``, and None when the model has no own head.
        cloud_logits: float32 [b, k], the same of ``cloud`` with the cloud model's prototypes; None likewise.
        centre: float32 [c], mean of the cloud's vectors of the training images; None when there is no cloud model.
        centred_bank: float32 [n, c], directions of the bank's vectors from the centre; None when there is no bank.
        texts: float32 [t, c], unit vectors of texts in the cloud's space; None when there are none.
        inputs: [b, ...] each, further inputs of the images, by name (:mod:`hetero.objectives.inputs`).
    """

    embeddings: Float[Tensor, "b d"]
    labels: Int[Tensor, " b"]
    cloud: Float[Tensor, "b c"] | None = None
    bank: Float[Tensor, "n c"] | None = None
    bank_labels: Int[Tensor, " n"] | None = None
    rows: Int[Tensor, " b"] | None = None
    logits: Float[Tensor, "b k"] | None = None
    cloud_logits: Float[Tensor, "b k"] | None = None
    centre: Float[Tensor, " c"] | None = None
    centred_bank: Float[Tensor, "n c"] | None = None
    texts: Float[Tensor, "t c"] | None = None
    inputs: Mapping[str, Shaped[Tensor, "b ..."]] = field(default_factory=dict)

    @property
    def spread(self) -> Float[Tensor, ""]:
        """Mean squared distance of the cloud's vectors from their centre: 1 minus the squared length of their mean.

        Raises:
            InputError: When there is no cloud model.
        """
        if self.centre is None:
            raise InputError("relative = true needs the cloud model's embeddings of the training images")
        return 1.0 - self.centre.square().sum()

    def centred(self) -> Batch:
        """Return the same vectors as directions from the space's centre.

        In a space whose vectors share a long mean all cosines are high, and a model that only learns the mean looks
        good. Directions from the centre keep the differences between images.

        Raises:
            InputError: When there is no cloud model.
        """
        if self.centre is None or self.cloud is None:
            raise InputError("centred = true needs the cloud model's embeddings of the training images")
        return replace(
            self,
            embeddings=directions(self.embeddings, self.centre),
            cloud=directions(self.cloud, self.centre),
            bank=self.centred_bank,
            centre=torch.zeros_like(self.centre),
        )


def directions(vectors: Float[Tensor, "n d"], centre: Float[Tensor, " d"]) -> Float[Tensor, "n d"]:
    """Return the unit vectors from a centre towards each of the vectors."""
    return F.normalize(vectors - centre, dim=1)


class Objective(Protocol):
    """A training objective: a batch in, a scalar out. Objectives with weights are ``nn.Module``."""

    def __call__(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the objective's value, averaged over the batch."""
        ...
