"""Decoupled differential distillation: differences of similarities, with separate weights for right and wrong order."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import Doc

from hetero.constraints import NotNegative
from hetero.objectives.batch import Batch
from hetero.objectives.cloud_side import CloudSide, nearest
from hetero.objectives.declaration import objective

# Keeps the relative error of small differences bounded, as in the authors' public code.
_FLOOR = 0.1


def differential_distillation(
    student: Float[Tensor, "b k"], cloud: Float[Tensor, "b k"], *, inconsistent: float, consistent: float
) -> Float[Tensor, ""]:
    """Compute the relative errors of the differences between two neighbours' similarities, against the cloud's.

    D3still (Xie et al., CVPR 2024). With ``d_ij = s_j - s_i`` for the student and ``D_ij = c_j - c_i`` for the cloud,
    ``e_ij = (d_ij - D_ij) / (0.1 + |D_ij|)``; pairs whose order the student has wrong (``d D < 0``) and right
    (``d D > 0``) have separate weights:

        ``mean over images of (inconsistent |e over wrong pairs| + consistent |e over right pairs|) / k``

    with the Euclidean norm over all ordered pairs. Ties in either model belong to neither.

    Args:
        student: Cosines of the student's vector with each neighbour.
        cloud: Cosines of the cloud's vector of the same image with the same neighbours.
        inconsistent: Weight of pairs in the wrong order (beta).
        consistent: Weight of pairs in the right order (gamma).
    """
    ours = student[:, None, :] - student[:, :, None]
    theirs = cloud[:, None, :] - cloud[:, :, None]
    errors = (ours - theirs) / (_FLOOR + theirs.abs())
    agreement = (ours * theirs).detach()
    wrong = torch.linalg.vector_norm(errors * (agreement < 0), dim=(1, 2))
    right = torch.linalg.vector_norm(errors * (agreement > 0), dim=(1, 2))
    return (inconsistent * wrong + consistent * right).mean() / student.shape[1]


def feature_knowledge(embeddings: Float[Tensor, "b d"], cloud: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """Compute D3still's third part: the norm over the batch of one minus cosine with the cloud's vector, over b."""
    return torch.linalg.vector_norm(1 - (embeddings * cloud).sum(dim=1)) / len(embeddings)


@objective(
    "d3still",
    "differences of similarities as the cloud's, wrong order weighted apart (D3still, CVPR 2024)",
    needs={"cloud"},
)
class D3still(nn.Module):
    """Feature knowledge plus :func:`differential_distillation` over the cloud's nearest neighbours.

    Weights and neighbours are the defaults of the authors' public code, which counts the image itself among its 10
    neighbours and finds them in the batch; here they come from the bank, without the image itself.
    """

    def __init__(
        self,
        neighbours: Annotated[int, Ge(2), Doc("neighbours of each image in the cloud's eyes")] = 9,
        feature: Annotated[NotNegative, Doc("weight of the vectors themselves (alpha)")] = 50.0,
        inconsistent: Annotated[NotNegative, Doc("weight of pairs in the wrong order (beta)")] = 2.0,
        consistent: Annotated[NotNegative, Doc("weight of pairs in the right order (gamma)")] = 1.0,
    ) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.feature = feature
        self.inconsistent = inconsistent
        self.consistent = consistent

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Distil the batch."""
        side = CloudSide.of(batch, "d3still")
        cloud, rows = nearest(side, self.neighbours, "d3still")
        student = (batch.embeddings @ side.gallery.T).gather(1, rows)
        differences = differential_distillation(
            student, cloud, inconsistent=self.inconsistent, consistent=self.consistent
        )
        return self.feature * feature_knowledge(batch.embeddings, side.vectors) + differences
