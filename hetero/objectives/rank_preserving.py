"""Rank order preservation: the student's query orders the gallery as the cloud's query does."""

from __future__ import annotations

from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn
from typing_extensions import Doc

from hetero.constraints import NotNegative, Positive
from hetero.objectives.batch import Batch
from hetero.objectives.cloud_side import CloudSide, nearest
from hetero.objectives.declaration import objective
from hetero.objectives.shared_options import Neighbours


def rank_order_preservation(
    student: Float[Tensor, "b k"], cloud: Float[Tensor, "b k"], *, temperature: float, sharpness: float
) -> Float[Tensor, ""]:
    """Compare the neighbours j that the two models rank before each neighbour i.

    A general rank preserving framework for asymmetric image retrieval (Wu et al., ICLR 2023), the variant that
    preserves the order: with ``c`` the cloud's and ``s`` the student's cosines,

        ``mean over images of 1/k sum_i w_i sum_j (step(c_j - c_i) - sigmoid((s_j - c_i) / temperature))^2``,
        ``w_i = i * softmax(sharpness * c)_i``, i the rank from 1.

    The student's cosine is compared with the *cloud's* of neighbour i, which aligns the two models' scores as well as
    their order. The weights and the placement of the threshold follow the equations (8 to 10) as stated in a public
    reimplementation, not the paper's own code. Ties count one half.

    Args:
        student: Cosines of the student's vector with each neighbour.
        cloud: Cosines of the cloud's vector of the same image, falling along each row.
        temperature: Temperature of the sigmoid that replaces the step.
        sharpness: Extra weight of near neighbours.
    """
    half = cloud.new_tensor(0.5)
    expected = torch.heaviside(cloud[:, None, :] - cloud[:, :, None], half)
    actual = torch.sigmoid((student[:, None, :] - cloud[:, :, None]) / temperature)
    ranks = torch.arange(1, cloud.shape[1] + 1, dtype=cloud.dtype, device=cloud.device)
    weights = ranks * torch.softmax(sharpness * cloud, dim=1)
    per_neighbour = (expected - actual).square().sum(dim=2)
    return (weights * per_neighbour).sum(dim=1).mean() / cloud.shape[1]


@objective("rank_preserving", "neighbours in the cloud's order (ROP, ICLR 2023)", needs={"cloud"})
class RankPreserving(nn.Module):
    """:func:`rank_order_preservation` over the cloud's nearest neighbours of each image, without itself."""

    def __init__(
        self,
        neighbours: Neighbours = 96,
        temperature: Annotated[Positive, Doc("of the sigmoid that stands for a step")] = 0.1,
        sharpness: Annotated[NotNegative, Doc("how much more near neighbours weigh")] = 0.2,
    ) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.temperature = temperature
        self.sharpness = sharpness

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Compare the two orders."""
        side = CloudSide.of(batch, "rank_preserving")
        cloud, rows = nearest(side, self.neighbours, "rank_preserving")
        student = (batch.embeddings @ side.gallery.T).gather(1, rows)
        return rank_order_preservation(student, cloud, temperature=self.temperature, sharpness=self.sharpness)
