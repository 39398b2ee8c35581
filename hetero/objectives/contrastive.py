"""Contrastive terms: supervised within one model, and asymmetric against a cloud model's embeddings."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from hetero.objectives.batch import Batch
from hetero.objectives.cloud_side import CloudSide
from hetero.objectives.declaration import objective
from hetero.objectives.shared_options import Temperature


def multi_positive_cross_entropy(
    similarities: Float[Tensor, "b n"],
    positive: Bool[Tensor, "b n"],
    candidate: Bool[Tensor, "b n"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Compute the mean over positives of the negative log-probability of being picked among the candidates.

    Supervised contrastive learning, arXiv 2004.11362, equation 2 (``L_out``). Anchors without a positive are left out.

    Args:
        similarities: Cosine of each anchor (row) with each key (column).
        positive: Keys of the anchor's class.
        candidate: Keys in the denominator.
        temperature: Divides the cosines.
    """
    logits = (similarities / temperature).masked_fill(~candidate, -torch.inf)
    log_probability = logits - logits.logsumexp(dim=1, keepdim=True)
    positive = positive & candidate
    count = positive.sum(dim=1)
    per_anchor = -log_probability.masked_fill(~positive, 0.0).sum(dim=1) / count.clamp(min=1)
    return per_anchor.sum() / (count > 0).sum().clamp(min=1)


def supervised_contrastive(
    embeddings: Float[Tensor, "b d"], labels: Int[Tensor, " b"], *, temperature: float
) -> Float[Tensor, ""]:
    """Pull images of one class together, within one model's batch (arXiv 2004.11362)."""
    others = ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    same = labels[:, None] == labels[None, :]
    return multi_positive_cross_entropy(embeddings @ embeddings.T, same, others, temperature=temperature)


def cloud_contrastive(
    embeddings: Float[Tensor, "b d"],
    labels: Int[Tensor, " b"],
    keys: Float[Tensor, "n d"],
    key_labels: Int[Tensor, " n"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Contrast the student's vector of an image with the cloud model's embeddings, positives by class.

    That is exactly the situation of a search: a student's query in the cloud's gallery. The anchor's own image is a
    positive too, because the key comes from another model.
    """
    same = labels[:, None] == key_labels[None, :]
    everywhere = torch.ones_like(same)
    return multi_positive_cross_entropy(embeddings @ keys.T, same, everywhere, temperature=temperature)


@objective("supervised_contrastive", "classes pulled together within the model (arXiv 2004.11362)", needs={"labels"})
class SupervisedContrastive(nn.Module):
    """:func:`supervised_contrastive` as an objective."""

    def __init__(self, temperature: Temperature = 0.1) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Contrast within the batch."""
        return supervised_contrastive(batch.embeddings, batch.labels, temperature=self.temperature)


@objective(
    "cloud_contrastive",
    "the image among the cloud's vectors, positives by class (AML, arXiv 2006.16331)",
    needs={"cloud", "labels"},
)
class CloudContrastive(nn.Module):
    """:func:`cloud_contrastive` against the cloud's bank, or the batch's when there is no bank."""

    def __init__(self, temperature: Temperature = 0.1) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Contrast with the cloud's embeddings.

        Raises:
            InputError: When the batch carries no cloud embeddings of the model's dimension.
        """
        side = CloudSide.of(batch, "cloud_contrastive")
        return cloud_contrastive(
            batch.embeddings, batch.labels, side.gallery, side.labels, temperature=self.temperature
        )
