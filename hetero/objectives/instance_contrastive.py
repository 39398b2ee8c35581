"""Instance contrast across models: among the cloud's vectors, an image's own is the nearest to the student's."""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Doc

from hetero.objectives.batch import Batch
from hetero.objectives.cloud_side import CloudSide, comparable
from hetero.objectives.declaration import objective
from hetero.objectives.shared_options import Centred, Temperature


def instance_contrastive(
    embeddings: Float[Tensor, "b d"],
    cloud: Float[Tensor, "b d"],
    labels: Int[Tensor, " b"],
    keys: Float[Tensor, "n d"],
    key_labels: Int[Tensor, " n"],
    *,
    temperature: float | Float[Tensor, ""],
) -> Float[Tensor, ""]:
    """Compute the mean ``-log softmax`` of an image's own cloud vector among the cloud's vectors of other classes.

    InfoNCE (arXiv 1807.03748) from one model to another, as in contrastive representation distillation (arXiv
    1910.10699), with two changes: the student is compared with the cloud's vectors themselves, without the paper's
    projections, since it lives in their space; and images of the same class are no negatives, since the cloud rightly
    places them close together.

    Args:
        embeddings: Unit vectors of the student.
        cloud: Unit vectors of the same images by the cloud model.
        labels: Their classes.
        keys: Unit vectors of other images by the cloud model.
        key_labels: Their classes; those of the image's own class are left out.
        temperature: Divides the cosines.
    """
    own = (embeddings * cloud).sum(dim=1, keepdim=True)
    others = (embeddings @ keys.T).masked_fill(labels[:, None] == key_labels[None, :], -torch.inf)
    logits = torch.cat([own, others], dim=1) / temperature
    return F.cross_entropy(logits, torch.zeros_like(labels))


@objective(
    "instance_contrastive",
    "an image's own cloud vector among the cloud's other classes (as in CRD, arXiv 1910.10699)",
    needs={"cloud"},
)
class InstanceContrastive(nn.Module):
    """:func:`instance_contrastive` against the cloud's bank, or the batch's when there is no bank.

    Args:
        temperature: Divides the cosines.
        centred: True to compare directions from the space's centre (:meth:`Batch.centred`).
        relative: True to take the temperature as a share of the space's spread (:attr:`Batch.spread`): the vectors are
            compared as in a search, and one number suits spaces with a long mean and without. Directions from the
            centre always have a spread of one.
    """

    def __init__(
        self,
        temperature: Temperature = 0.05,
        centred: Centred = False,
        relative: Annotated[bool, Doc("the temperature is a share of the space's spread")] = False,
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.centred = centred
        self.relative = relative

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Contrast with the cloud's embeddings.

        Raises:
            InputError: When the batch carries no cloud embeddings of the model's dimension.
        """
        view = comparable(batch, "instance_contrastive", centred=self.centred)
        side = CloudSide.of(view, "instance_contrastive")
        temperature = self.temperature * (view.spread if self.relative else 1.0)
        return instance_contrastive(
            view.embeddings, side.vectors, batch.labels, side.gallery, side.labels, temperature=temperature
        )
