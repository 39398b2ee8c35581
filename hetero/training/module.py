"""Model and objectives as one module, so that every strategy synchronises the weights of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hetero.models.model import EmbeddingModel
from hetero.objectives.batch import Batch
from hetero.objectives.registry import Head, build_objective
from hetero.training.config import ObjectiveConfig


@dataclass(frozen=True)
class CloudTensors:
    """The cloud model's cached embeddings of the training images.

    Attributes:
        embeddings: float32 [n, d], unit vectors.
        labels: int64 [n].
        bank: How many of them, from the first, every batch is contrasted with.
    """

    embeddings: Float[Tensor, "n d"]
    labels: Int[Tensor, " n"]
    bank: int


class TrainingModule(nn.Module):
    """A model with the objectives that it is trained by.

    Args:
        model: In training.
        objectives: By name; they may have weights of their own.
        weights: Of each objective in the sum.
    """

    def __init__(
        self, model: EmbeddingModel, objectives: Mapping[str, nn.Module], weights: Mapping[str, float]
    ) -> None:
        super().__init__()
        self.model = model
        self.objectives = nn.ModuleDict(dict(objectives))
        self.weights = dict(weights)

    @classmethod
    def of(cls, model: EmbeddingModel, terms: tuple[ObjectiveConfig, ...], head: Head) -> TrainingModule:
        """Build the objectives that a recipe names."""
        objectives = {term.name: build_objective(term.name, head=head, temperature=term.temperature) for term in terms}
        return cls(model, objectives, {term.name: term.weight for term in terms})

    def forward(
        self,
        pixels: Float[Tensor, "b 3 h w"],
        labels: Int[Tensor, " b"],
        rows: Int[Tensor, " b"],
        cloud: CloudTensors | None,
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Weighted sum of the objectives, and each of them.

        Args:
            pixels: Augmented images, scaled to 0..1.
            labels: Classes.
            rows: Rows of the images among the training images.
            cloud: Cached cloud embeddings of all training images, if there is a cloud model.
        """
        batch = Batch(self.model.embed(pixels), labels)
        if cloud is not None:
            own = slice(0, cloud.bank)
            batch = replace(
                batch, cloud=cloud.embeddings[rows], bank=cloud.embeddings[own], bank_labels=cloud.labels[own]
            )
        terms = {name: objective(batch) for name, objective in self.objectives.items()}
        total = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        return total, {name: term.detach() for name, term in terms.items()}
