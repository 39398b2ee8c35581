"""The influence loss of backward-compatible training: the cloud's frozen classifier judges the student's vectors."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from hetero.objectives.batch import Batch
from hetero.objectives.margin_softmax import Margin, margin_logits


def truncated_or_padded(vectors: Float[Tensor, "n d"], dimension: int) -> Float[Tensor, "n c"]:
    """Apply ``T`` of arXiv 2003.11942: the first ``dimension`` coordinates, with zeros for missing ones."""
    return F.pad(vectors, (0, dimension - vectors.shape[1]))


def influence_loss(
    embeddings: Float[Tensor, "b d"],
    labels: Int[Tensor, " b"],
    prototypes: Float[Tensor, "k c"],
    *,
    variant: Margin | Literal["unnormalised"],
    margin: float,
    scale: float,
) -> Float[Tensor, ""]:
    """Compute the cross-entropy of ``W_o T(phi_n(x))`` (backward-compatible training, arXiv 2003.11942, equation 3).

    ``T`` truncates or zero-pads the student's vector to the cloud's dimension. The paper's softmax is plain; with a
    margin, or without one on cosines (``none``), ``T(phi_n)`` and the prototypes are scaled to length one first, which
    public reimplementations found better. ``unnormalised`` uses both unscaled. A class that the cloud's classifier
    lacks has a prototype of zeros: it is no candidate, and its images are left out (the paper's second method; its
    first, the class mean of the cloud's vectors, needs no special case).

    Args:
        embeddings: Unit vectors of the model in training.
        labels: True classes.
        prototypes: The cloud's classifier ``W_o``, one row for each class.
        variant: The margin, or ``unnormalised``.
        margin: Radians for ArcFace, cosine for CosFace.
        scale: Multiplies the logits.
    """
    vectors = truncated_or_padded(embeddings, prototypes.shape[1])
    has_prototype = prototypes.any(dim=1)
    if variant == "unnormalised":
        logits = scale * vectors @ prototypes.T
    else:
        cosines = F.normalize(vectors, dim=1) @ F.normalize(prototypes, dim=1).T
        logits = margin_logits(cosines, labels, kind=variant, margin=margin, scale=scale)
    judged = has_prototype[labels]
    losses = F.cross_entropy(logits.masked_fill(~has_prototype, -torch.inf)[judged], labels[judged], reduction="sum")
    return losses / judged.sum().clamp(min=1)


class InfluenceLoss(nn.Module):
    """:func:`influence_loss` with the cloud's frozen classifier.

    Attributes:
        prototypes: float32 [k, c], never trained.
    """

    prototypes: Tensor

    def __init__(
        self,
        prototypes: Float[Tensor, "k c"],
        *,
        variant: Margin | Literal["unnormalised"] = "arcface",
        margin: float = 0.2,
        scale: float = 16.0,
    ) -> None:
        super().__init__()
        self.register_buffer("prototypes", prototypes.clone())
        self.variant: Margin | Literal["unnormalised"] = variant
        self.margin = margin
        self.scale = scale

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Compute the mean over the images whose class the cloud's classifier has."""
        return influence_loss(
            batch.embeddings,
            batch.labels,
            self.prototypes,
            variant=self.variant,
            margin=self.margin,
            scale=self.scale,
        )
