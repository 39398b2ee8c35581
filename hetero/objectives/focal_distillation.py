"""Focal distillation: keep the old model's answers, most of all where it was right."""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Doc

from hetero.constraints import Positive
from hetero.errors import InputError
from hetero.objectives.batch import Batch
from hetero.objectives.declaration import objective
from hetero.objectives.shared_options import Alpha, Beta


def focal_weights(
    old_logits: Float[Tensor, "b k"], labels: Int[Tensor, " b"], *, alpha: float, beta: float
) -> Float[Tensor, " b"]:
    """Compute ``alpha + beta * 1(the old model is right)`` for each image (arXiv 2011.09161, equation 6)."""
    right = old_logits.argmax(dim=1) == labels
    return alpha + beta * right.to(old_logits.dtype)


def logit_distance(new_logits: Float[Tensor, "b k"], old_logits: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
    """Compute half the squared distance of the logits of each image (FD-LM)."""
    return 0.5 * (new_logits - old_logits).square().sum(dim=1)


def softened_divergence(
    new_logits: Float[Tensor, "b k"], old_logits: Float[Tensor, "b k"], *, temperature: float
) -> Float[Tensor, " b"]:
    """Compute ``tau^2 KL(softmax(old / tau) || softmax(new / tau))`` for each image (FD-KL).

    For large ``tau`` it approaches ``logit_distance / k`` of logits that are centred on zero.
    """
    # The squared temperature would magnify the rounding errors of half precision.
    precise = torch.promote_types(new_logits.dtype, torch.float32)
    old = F.log_softmax(old_logits.to(precise) / temperature, dim=1)
    new = F.log_softmax(new_logits.to(precise) / temperature, dim=1)
    return temperature**2 * F.kl_div(new, old, reduction="none", log_target=True).sum(dim=1)


def both_logits(batch: Batch, name: str) -> tuple[Float[Tensor, "b k"], Float[Tensor, "b k"]]:
    """Return the logits of the model in training and of the old one.

    Raises:
        InputError: When either is missing.
    """
    if batch.logits is None or batch.cloud_logits is None:
        missing = "own_head beside it" if batch.logits is None else "a cloud (or old) model"
        raise InputError(f"the objective {name} compares two classifiers: it needs {missing}")
    return batch.logits, batch.cloud_logits


@objective(
    "focal_logit_matching",
    "the old model's logits, most where it was right (PCT FD-LM, arXiv 2011.09161)",
    needs={"cloud", "labels", "own_head"},
)
class FocalLogitMatching(nn.Module):
    """Positive-congruent training by logit matching: the mean of weight times :func:`logit_distance`.

    The old model is judged on the same augmented image when it runs live, and by the image's cached vector otherwise.
    """

    def __init__(self, alpha: Alpha = 1.0, beta: Beta = 5.0) -> None:
        super().__init__()
        self.alpha = alpha
        self.beta = beta

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Distil the batch."""
        new, old = both_logits(batch, "focal_logit_matching")
        return (focal_weights(old, batch.labels, alpha=self.alpha, beta=self.beta) * logit_distance(new, old)).mean()


@objective(
    "focal_kl",
    "the old model's softened answers, most where it was right (PCT FD-KL, arXiv 2011.09161)",
    needs={"cloud", "labels", "own_head"},
)
class FocalDivergence(nn.Module):
    """Positive-congruent training by divergence: the mean of weight times :func:`softened_divergence`."""

    def __init__(
        self,
        alpha: Alpha = 1.0,
        beta: Beta = 5.0,
        temperature: Annotated[Positive, Doc("softens both models' answers")] = 100.0,
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.beta = beta
        self.temperature = temperature

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Distil the batch."""
        new, old = both_logits(batch, "focal_kl")
        weights = focal_weights(old, batch.labels, alpha=self.alpha, beta=self.beta)
        return (weights * softened_divergence(new, old, temperature=self.temperature)).mean()
