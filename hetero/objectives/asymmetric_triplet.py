"""Asymmetric triplets: the student's vector of an image between the cloud's vectors of its class and of others."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Doc

from hetero.constraints import NotNegative
from hetero.objectives.batch import Batch
from hetero.objectives.cloud_side import CloudSide, is_own
from hetero.objectives.declaration import objective

Mining = Literal["semi-hard", "hard"]


def asymmetric_triplet(
    embeddings: Float[Tensor, "b d"],
    labels: Int[Tensor, " b"],
    gallery: Float[Tensor, "n d"],
    gallery_labels: Int[Tensor, " n"],
    own: Int[Tensor, " b"],
    *,
    margin: float,
    mining: Mining,
) -> Float[Tensor, ""]:
    """Compute the mean of ``max(0, |a - p|^2 - |a - n|^2 + margin)``, a from the student, p and n from the cloud.

    Asymmetric metric learning (arXiv 2006.16331), equation 8 with the triplet loss. The paper draws its tuples from
    retrieval data; here one triplet is mined for each anchor, by the student's own cosines. The positive is the
    farthest of the class (the image itself left out). The negative is the nearest of all other classes (``hard``,
    arXiv 1703.07737), or the nearest that is still farther than the positive and, where there is none, the farthest
    (``semi-hard``, arXiv 1503.03832). Anchors without a positive or a negative are left out.

    Args:
        embeddings: Unit vectors of the student.
        labels: Classes of the anchors.
        gallery: Unit vectors of the cloud model.
        gallery_labels: Classes of the gallery.
        own: The gallery's row of each anchor's own image, or -1.
        margin: Margin in squared distance.
        mining: Choice of the negative, see above.
    """
    similarities = embeddings @ gallery.T
    same = labels[:, None] == gallery_labels[None, :]
    positive = similarities.masked_fill(~same | is_own(own, len(gallery)), torch.inf).amin(dim=1)
    negative = similarities.masked_fill(same, -torch.inf).amax(dim=1)
    if mining == "semi-hard":
        farther = similarities.masked_fill(same | (similarities >= positive[:, None]), -torch.inf).amax(dim=1)
        farthest = similarities.masked_fill(same, torch.inf).amin(dim=1)
        negative = torch.where(farther.isfinite(), farther, farthest)
    usable = positive.isfinite() & negative.isfinite()
    # For unit vectors the squared distance is two minus twice the cosine.
    losses = F.relu(2 * (negative - positive)[usable] + margin)
    return losses.sum() / usable.sum().clamp(min=1)


@objective(
    "asymmetric_triplet",
    "nearer to the cloud's vectors of its class than of others (AML, arXiv 2006.16331)",
    needs={"cloud", "labels"},
)
class AsymmetricTriplet(nn.Module):
    """:func:`asymmetric_triplet` against the cloud's bank, or the batch when there is none."""

    def __init__(
        self,
        margin: Annotated[NotNegative, Doc("in squared distance")] = 0.1,
        mining: Annotated[Mining, Doc("how the negative is chosen")] = "semi-hard",
    ) -> None:
        super().__init__()
        self.margin = margin
        self.mining: Mining = mining

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Mine one triplet for each image."""
        side = CloudSide.of(batch, "asymmetric_triplet")
        return asymmetric_triplet(
            batch.embeddings, batch.labels, side.gallery, side.labels, side.own, margin=self.margin, mining=self.mining
        )
