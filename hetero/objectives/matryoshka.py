"""Matryoshka representation learning: the first coordinates of a vector are a vector that can be searched by itself."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Doc

from hetero.objectives.batch import Batch
from hetero.objectives.declaration import objective
from hetero.objectives.head import Head
from hetero.objectives.margin_softmax import Margin, margin_logits, random_prototypes

Shortest = Annotated[
    int, Ge(1), Doc("coordinates of the shortest prefix; the others are twice, four times ... as long")
]


def prefix_lengths(dimension: int, shortest: int) -> tuple[int, ...]:
    """Return the lengths that doubling makes of the shortest, below the dimension, and the dimension itself."""
    lengths: list[int] = []
    while shortest < dimension:
        lengths.append(shortest)
        shortest *= 2
    return (*lengths, dimension)


@objective(
    "matryoshka",
    "a classifier of its own for each prefix of the vector (MRL-E, arXiv 2205.13147)",
    needs={"labels"},
)
class Matryoshka(nn.Module):
    """Mean cross-entropy of the own classifier on prefixes of the vector, equation 1 of arXiv 2205.13147.

    Weights are tied across the prefixes (section 3, MRL-E), and each length weighs the same, as in the paper. Where the
    paper's logits are plain products, these are the margin softmax of the whole vector's head: a prefix and the same
    coordinates of the prototypes are scaled to length one first, because a search compares cosines.

    Args:
        head: Size and margin of the classifier.
        shortest: Number of coordinates of the shortest prefix.
    """

    def __init__(self, head: Head, shortest: Shortest = 8) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(head.seed)
        self.prototypes = nn.Parameter(random_prototypes(head.classes, head.dimension, generator))
        self.kind: Margin = head.kind
        self.margin = head.margin
        self.scale = head.scale
        self.lengths = prefix_lengths(head.dimension, shortest)

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Compute the mean over the lengths."""
        losses = [self._loss(batch, length) for length in self.lengths]
        return torch.stack(losses).mean()

    def _loss(self, batch: Batch, length: int) -> Float[Tensor, ""]:
        vectors, prototypes = (F.normalize(side[:, :length], dim=1) for side in (batch.embeddings, self.prototypes))
        logits = margin_logits(
            vectors @ prototypes.T, batch.labels, kind=self.kind, margin=self.margin, scale=self.scale
        )
        return F.cross_entropy(logits, batch.labels)
