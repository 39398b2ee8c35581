"""Model and objectives as one module, so that every strategy synchronises the weights of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from hetero.data.embeddings.mapped import MappedVectors
from hetero.objectives.batch import Batch, directions
from hetero.objectives.catalog import compares_classes, entry_of, expanded
from hetero.objectives.config import ObjectiveConfig
from hetero.objectives.head import Head
from hetero.objectives.margin_softmax import MarginSoftmax
from hetero.objectives.registry import build_objectives
from hetero.training.distributed.gather import whole_batch
from hetero.training.judging.agreement import agreement
from hetero.training.judging.curves import AGREEMENT
from hetero.training.reference.live import LiveCloud


@dataclass(frozen=True)
class CloudTensors:
    """The cloud model's part in a run, as tensors on one device.

    Attributes:
        embeddings: float32 [n, d], unit vectors of the training images; mapped ones are read for each batch.
        labels: int64 [n], classes of the training images.
        bank: int64 [m], rows of the images that every batch is compared with.
        sources: int64 [n], the row of which each image is a changed copy, or its own; None when there are no copies.
        prototypes: float32 [k, d], of the cloud model's head; None when no objective needs its logits.
        texts: float32 [t, d], unit vectors of texts in its space; None when there are none.
        live: The cloud model itself, to embed changed images; None uses the cached vectors.
        mean: float32 [d], mean of the training images' vectors; None computes it.
    """

    embeddings: Float[Tensor, "n d"] | MappedVectors
    labels: Int[Tensor, " n"]
    bank: Int[Tensor, " m"]
    sources: Int[Tensor, " n"] | None = None
    prototypes: Float[Tensor, "k d"] | None = None
    texts: Float[Tensor, "t d"] | None = None
    live: LiveCloud | None = None
    mean: Float[Tensor, " d"] | None = None

    def of(self, rows: Int[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """Return the vectors of these training images."""
        if isinstance(self.embeddings, MappedVectors):
            return torch.from_numpy(self.embeddings[rows.cpu().numpy()]).to(self.labels.device)
        return self.embeddings[rows]

    @cached_property
    def bank_embeddings(self) -> Float[Tensor, "m d"]:
        """The bank's vectors."""
        return self.of(self.bank)

    @cached_property
    def centre(self) -> Float[Tensor, " d"]:
        """Mean of the training images' vectors."""
        if self.mean is not None:
            return self.mean
        vectors = self.embeddings if isinstance(self.embeddings, Tensor) else torch.from_numpy(self.embeddings[:])
        return vectors.mean(dim=0)

    @cached_property
    def centred_bank(self) -> Float[Tensor, "m d"]:
        """Directions of the bank's vectors from the centre."""
        return directions(self.bank_embeddings, self.centre)

    @cached_property
    def bank_labels(self) -> Int[Tensor, " m"]:
        """Classes of the bank's vectors."""
        return self.labels[self.bank]

    @cached_property
    def places(self) -> Int[Tensor, " n"]:
        """The bank's row of each training image (for a changed copy: of its original); -1 when it is not there."""
        places = torch.full_like(self.labels, -1)
        places[self.bank] = torch.arange(len(self.bank), device=places.device)
        return places if self.sources is None else places[self.sources]


@runtime_checkable
class Trainable(Protocol):
    """A model that can be trained: an :class:`EmbeddingModel`, or another ``nn.Module`` that embeds."""

    def embed(self, scaled_pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Return unit vectors of (augmented) images whose values are scaled to 0..1."""
        ...


class TrainingModule(nn.Module):
    """A model with the objectives that it is trained by.

    Args:
        model: The model in training.
        objectives: Objectives by name; they may have their own weights to train.
        weights: Weight of each objective in the sum.
        by_class: True if one of them compares images by class.
        needs: Names of the inputs that they need.

    Attributes:
        trains_in_parts: True if a step may train a part of the weights.
        inputs: [n, ...] each, further inputs of the training images, by name; on the module's device.
        shares: Number of a batch's images that each rank embeds; empty in one process, which embeds them all.
    """

    trains_in_parts: ClassVar[bool] = False

    def __init__(
        self,
        model: Trainable,
        objectives: Mapping[str, nn.Module],
        weights: Mapping[str, float],
        *,
        by_class: bool = True,
        needs: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__()
        self.model = model
        self.objectives = nn.ModuleDict(dict(objectives))
        self.weights = dict(weights)
        self.by_class = by_class
        self.needs = needs
        self.inputs: Mapping[str, Tensor] = {}
        self.shares: tuple[int, ...] = ()
        self._compiled: Callable[[Tensor], Tensor] | None = None

    @classmethod
    def of(cls, model: Trainable, terms: tuple[ObjectiveConfig, ...], head: Head) -> TrainingModule:
        """Make a training module with the objectives that a recipe names."""
        built = [(_key(term.name), term.weight, objective) for term, objective in build_objectives(terms, head)]
        objectives, weights = {key: term for key, _, term in built}, {key: weight for key, weight, _ in built}
        needs = frozenset[str]().union(*(entry_of(term.name).needs for term in expanded(terms)))
        return cls(model, objectives, weights, by_class=compares_classes(terms), needs=needs)

    def compile_model(self) -> None:
        """Compile the model for its steps in training; its weights and their names stay as they are."""
        self._compiled = torch.compile(self.model.embed)

    @property
    def own_head(self) -> MarginSoftmax | None:
        """The model's own classifier, where it is trained with one."""
        return next((term for term in self.objectives.values() if isinstance(term, MarginSoftmax)), None)

    def forward(
        self,
        pixels: Float[Tensor, "m 3 h w"],
        labels: Int[Tensor, " b"],
        rows: Int[Tensor, " b"],
        cloud: CloudTensors | None,
        targets: Float[Tensor, "b c"] | None = None,
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        """Return the weighted sum of the objectives, and by name each of them and the batch's agreement with the cloud.

        However the ranks share the images, objectives receive the whole batch in float32: they compare within it, and
        half precision would round the differences that they compare.

        Args:
            pixels: This rank's augmented images (all of them in one process), scaled to 0..1.
            labels: Classes of the whole batch; -1 for images of no class, which are mixtures.
            rows: Rows of the batch's images among the training images; -1 for mixtures.
            cloud: Cached cloud embeddings of all training images, if there is a cloud model.
            targets: The cloud's unit vectors of the whole batch as changed and mixed; None uses those of the rows.
        """
        embeddings = self._whole((self._compiled or self.model.embed)(pixels))
        with torch.autocast(embeddings.device.type, enabled=False):
            inputs = {name: values[rows] for name, values in self.inputs.items()}
            return self._judged(Batch(embeddings, labels, inputs=inputs), rows, cloud, targets)

    def _whole(self, vectors: Float[Tensor, "m d"]) -> Float[Tensor, "b d"]:
        half = vectors.dtype in (torch.float16, torch.bfloat16)
        # Rounded to half precision a unit vector is no longer of length one.
        return whole_batch(F.normalize(vectors.float(), dim=1) if half else vectors, self.shares)

    def _judged(
        self, batch: Batch, rows: Int[Tensor, " b"], cloud: CloudTensors | None, targets: Float[Tensor, "b c"] | None
    ) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
        if cloud is not None:
            batch = _beside_cloud(batch, rows, cloud, targets)
        if "own_head" in self.needs:
            batch = self._with_logits(batch, cloud)
        terms = {name: objective(batch) for name, objective in self.objectives.items()}
        total = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        values = {name: term.detach() for name, term in terms.items()}
        return total, values if cloud is None else values | _agreement(batch, cloud)

    def _with_logits(self, batch: Batch, cloud: CloudTensors | None) -> Batch:
        own = self.own_head
        if own is None:
            return batch
        batch = replace(batch, logits=_logits(batch.embeddings, own.prototypes, own.scale))
        if cloud is None or cloud.prototypes is None or batch.cloud is None:
            return batch
        return replace(batch, cloud_logits=_logits(batch.cloud, cloud.prototypes, own.scale))


def _key(name: str) -> str:
    # Torch separates the names of nested modules by dots.
    return name.replace(".", "/")


def _beside_cloud(
    batch: Batch, rows: Int[Tensor, " b"], cloud: CloudTensors, targets: Float[Tensor, "b c"] | None
) -> Batch:
    return replace(
        batch,
        cloud=cloud.of(rows) if targets is None else targets,
        bank=cloud.bank_embeddings,
        bank_labels=cloud.bank_labels,
        rows=torch.where(rows >= 0, cloud.places[rows], -1),
        centre=cloud.centre,
        centred_bank=cloud.centred_bank,
        texts=cloud.texts,
    )


def _agreement(batch: Batch, cloud: CloudTensors) -> dict[str, Tensor]:
    """Return the batch's agreement with the cloud, by name; nothing for a model of another dimension."""
    if batch.cloud is None or batch.cloud.shape != batch.embeddings.shape:
        return {}
    return {AGREEMENT: agreement(batch.embeddings.detach(), batch.cloud, cloud.centre)}


def _logits(vectors: Float[Tensor, "b d"], prototypes: Float[Tensor, "k d"], scale: float) -> Float[Tensor, "b k"]:
    return scale * vectors @ F.normalize(prototypes, dim=1).T
