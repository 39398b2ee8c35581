"""Model and objectives as one module, so that every strategy synchronises the weights of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hetero.models.model import EmbeddingModel
from hetero.objectives.batch import Batch
from hetero.objectives.config import ObjectiveConfig
from hetero.objectives.margin_softmax import MarginSoftmax
from hetero.objectives.registry import Head, build_objectives


@dataclass(frozen=True)
class CloudTensors:
    """What a run knows of the cloud model.

    Attributes:
        embeddings: float32 [n, d], unit vectors of the training images.
        labels: int64 [n].
        bank: How many of them, from the first, every batch is compared with.
        sources: int64 [n], the row of which each image is a changed copy, or its own; None when there are no copies.
        prototypes: float32 [k, d], of the cloud model's head; None when no objective asks for its logits.
        live: The cloud model itself, to embed each batch as it was augmented; None takes the cached vectors.
        previous: float32 [n, p], unit vectors of the training images by the student to be replaced, if there is one.
        previous_right: bool [n], whether its first hit was right.
    """

    embeddings: Float[Tensor, "n d"]
    labels: Int[Tensor, " n"]
    bank: int
    sources: Int[Tensor, " n"] | None = None
    prototypes: Float[Tensor, "k d"] | None = None
    live: EmbeddingModel | None = None
    previous: Float[Tensor, "n p"] | None = None
    previous_right: Bool[Tensor, " n"] | None = None


@runtime_checkable
class Trainable(Protocol):
    """What can be trained: an :class:`EmbeddingModel`, or another ``nn.Module`` that embeds."""

    def embed(self, scaled_pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Unit vectors of (augmented) images whose values are scaled to 0..1."""
        ...


class TrainingModule(nn.Module):
    """A model with the objectives that it is trained by.

    Args:
        model: In training.
        objectives: By name; they may have weights of their own.
        weights: Of each objective in the sum.
    """

    def __init__(self, model: Trainable, objectives: Mapping[str, nn.Module], weights: Mapping[str, float]) -> None:
        super().__init__()
        self.model = model
        self.objectives = nn.ModuleDict(dict(objectives))
        self.weights = dict(weights)

    @classmethod
    def of(cls, model: Trainable, terms: tuple[ObjectiveConfig, ...], head: Head) -> TrainingModule:
        """Build the objectives that a recipe names."""
        built = [(_key(term.name), term.weight, objective) for term, objective in build_objectives(terms, head)]
        return cls(model, {key: objective for key, _, objective in built}, {key: weight for key, weight, _ in built})

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
            batch = _beside_cloud(batch, pixels, rows, cloud)
        if any(getattr(objective, "uses_logits", False) for objective in self.objectives.values()):
            batch = self._with_logits(batch, cloud)
        terms = {name: objective(batch) for name, objective in self.objectives.items()}
        total = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        return total, {name: term.detach() for name, term in terms.items()}

    def _with_logits(self, batch: Batch, cloud: CloudTensors | None) -> Batch:
        own = dict(self.objectives.items()).get("own_head")
        if not isinstance(own, MarginSoftmax):
            return batch
        batch = replace(batch, logits=_logits(batch.embeddings, own.prototypes, own.scale))
        if cloud is None or cloud.prototypes is None or batch.cloud is None:
            return batch
        return replace(batch, cloud_logits=_logits(batch.cloud, cloud.prototypes, own.scale))


def _key(name: str) -> str:
    # Torch separates the names of nested modules by points.
    return name.replace(".", "/")


def _beside_cloud(
    batch: Batch, pixels: Float[Tensor, "b 3 h w"], rows: Int[Tensor, " b"], cloud: CloudTensors
) -> Batch:
    own = slice(0, cloud.bank)
    sources = rows if cloud.sources is None else cloud.sources[rows]
    if cloud.live is None:
        same_images = cloud.embeddings[rows]
    else:
        with torch.no_grad():
            same_images = cloud.live.embed(pixels)
    return replace(
        batch,
        cloud=same_images,
        bank=cloud.embeddings[own],
        bank_labels=cloud.labels[own],
        rows=sources.where(sources < cloud.bank, -1),
        previous=None if cloud.previous is None else cloud.previous[rows],
        previous_right=None if cloud.previous_right is None else cloud.previous_right[rows],
    )


def _logits(vectors: Float[Tensor, "b d"], prototypes: Float[Tensor, "k d"], scale: float) -> Float[Tensor, "b k"]:
    return scale * vectors @ F.normalize(prototypes, dim=1).T
