"""RAML: align each vector, and the similarities between images, with the cloud's."""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import Doc

from hetero.constraints import NotNegative
from hetero.objectives.batch import Batch
from hetero.objectives.cloud_side import cloud_vectors
from hetero.objectives.declaration import objective


def raml(
    embeddings: Float[Tensor, "b d"], cloud: Float[Tensor, "b d"], *, mixed: float, within: float
) -> Float[Tensor, ""]:
    """Compute the loss of resolution asymmetric metric learning (Suma and Tolias, WACV 2023, arXiv 2210.05463).

    The mean of ``(1 - s_i.t_i)^2`` (absolute distillation), plus over pairs ``i != j`` the means of
    ``mixed * (s_i.t_j - t_i.t_j)^2`` and ``within * (s_i.s_j - t_i.t_j)^2`` (relational distillation between student
    and cloud, and within the student). No labels are used. The paper forms the pairs from augmentations of one image
    that student and teacher share; here, as in public comparisons on other sets, the images of the batch form them.

    Args:
        embeddings: Unit vectors ``s`` of the student.
        cloud: Unit vectors ``t`` of the same images by the cloud model.
        mixed: Weight of the student-to-cloud similarities.
        within: Weight of the student-to-student similarities.
    """
    absolute = (1 - (embeddings * cloud).sum(dim=1)).square().mean()
    expected = cloud @ cloud.T
    between = _mean_off_diagonal((embeddings @ cloud.T - expected).square())
    among = _mean_off_diagonal((embeddings @ embeddings.T - expected).square())
    return absolute + mixed * between + within * among


def _mean_off_diagonal(values: Float[Tensor, "b b"]) -> Float[Tensor, ""]:
    count = len(values)
    diagonal = torch.eye(count, dtype=torch.bool, device=values.device)
    return values.masked_fill(diagonal, 0.0).sum() / max(1, count * (count - 1))


@objective("raml", "vectors and pairwise similarities as the cloud's (RAML, arXiv 2210.05463)", needs={"cloud"})
class Raml(nn.Module):
    """:func:`raml` as an objective; the default weights are those of the paper's public comparisons."""

    def __init__(
        self,
        mixed: Annotated[NotNegative, Doc("weight of student-to-cloud similarities")] = 0.7482,
        within: Annotated[NotNegative, Doc("weight of student-to-student similarities")] = 0.6778,
    ) -> None:
        super().__init__()
        self.mixed = mixed
        self.within = within

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Align the batch."""
        return raml(batch.embeddings, cloud_vectors(batch, "raml"), mixed=self.mixed, within=self.within)
