"""Margin softmax heads: ArcFace (arXiv 1801.07698) and CosFace (arXiv 1801.09414)."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from hetero.objectives.batch import Batch

Margin = Literal["arcface", "cosface", "none"]


def margin_logits(
    cosines: Float[Tensor, "b k"], labels: Int[Tensor, " b"], *, kind: Margin, margin: float, scale: float
) -> Float[Tensor, "b k"]:
    """Scale cosines, and subtract the margin from the true class.

    ArcFace adds the margin to the angle (equation 3); where angle + margin would exceed pi it continues linearly, so
    that the logit keeps falling (as in the paper's public implementation). CosFace subtracts it from the cosine
    (equation 4).

    Args:
        cosines: Cosine of each embedding with each class prototype.
        labels: True classes.
        kind: Kind of margin.
        margin: Size of the margin: radians for ArcFace, cosine for CosFace.
        scale: Multiplies all logits.
    """
    if kind == "none":
        return scale * cosines
    true = cosines.gather(1, labels[:, None])
    if kind == "cosface":
        with_margin = true - margin
    else:
        bounded = true.clamp(-1 + 1e-7, 1 - 1e-7)
        sine = (1 - bounded.square()).sqrt()
        rotated = bounded * math.cos(margin) - sine * math.sin(margin)
        with_margin = torch.where(bounded > math.cos(math.pi - margin), rotated, bounded - margin * math.sin(margin))
    return scale * cosines.scatter(1, labels[:, None], with_margin.to(cosines.dtype))


class MarginSoftmax(nn.Module):
    """Cross-entropy over class prototypes with an angular margin.

    Attributes:
        prototypes: float32 [k, d]; only their directions matter.
    """

    def __init__(
        self,
        prototypes: Float[Tensor, "k d"],
        *,
        kind: Margin = "arcface",
        margin: float = 0.2,
        scale: float = 16.0,
    ) -> None:
        super().__init__()
        self.prototypes = nn.Parameter(prototypes.clone())
        self.kind: Margin = kind
        self.margin = margin
        self.scale = scale

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Compute the mean cross-entropy."""
        cosines = batch.embeddings @ F.normalize(self.prototypes, dim=1).T
        logits = margin_logits(cosines, batch.labels, kind=self.kind, margin=self.margin, scale=self.scale)
        return F.cross_entropy(logits, batch.labels)


def random_prototypes(classes: int, dimension: int, generator: torch.Generator) -> Float[Tensor, "k d"]:
    """Return prototypes in random directions."""
    return F.normalize(torch.randn(classes, dimension, generator=generator), dim=1)
