"""Contextual similarity distillation: an image's neighbourhood in the gallery space looks the same to both models."""

from __future__ import annotations

from typing import Annotated

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Doc

from hetero.constraints import NotNegative
from hetero.objectives.batch import Batch
from hetero.objectives.cloud_side import CloudSide, nearest
from hetero.objectives.declaration import objective
from hetero.objectives.shared_options import Neighbours, Temperature


def contextual_similarity(
    student: Float[Tensor, "b k"], cloud: Float[Tensor, "b k"], *, temperature: float, cloud_temperature: float
) -> Float[Tensor, ""]:
    """Compute the mean of ``KL(softmax(cloud / cloud_temperature) || softmax(student / temperature))``.

    Contextual similarity distillation (Wu et al., CVPR 2022).

    Args:
        student: Cosines of the student's vector with each neighbour (vectors of the cloud).
        cloud: Cosines of the cloud's vector of the same image with the same neighbours.
        temperature: Divides the student's cosines.
        cloud_temperature: Divides the cloud's cosines.
    """
    expected = F.log_softmax(cloud / cloud_temperature, dim=1)
    actual = F.log_softmax(student / temperature, dim=1)
    return F.kl_div(actual, expected, reduction="batchmean", log_target=True)


@objective("csd", "similarities to the neighbours distributed as the cloud's (CSD, CVPR 2022)", needs={"cloud"})
class ContextualSimilarity(nn.Module):
    """:func:`contextual_similarity` over the nearest neighbours by the cloud model's vectors.

    The paper collects the neighbours from all training images, once; here they are searched in the bank in each step,
    which gives the same result for cached vectors and is right for a live cloud model. An image's own entry is left
    out: at the cloud's low temperature it would take nearly all of the probability. One temperature for both models is
    the default, so that a student equal to the cloud is the minimum; public implementations sharpen the cloud's
    (``cloud_temperature = 0.01, temperature = 1.0``).

    Only differences between neighbours count, so they must reach beyond the image's own class: ten neighbours of one
    class do not show where the other classes are. The default is that of public comparisons.
    """

    def __init__(
        self,
        neighbours: Neighbours = 96,
        temperature: Temperature = 0.1,
        cloud_temperature: Annotated[NotNegative, Doc("divides the cloud's cosines; 0 takes temperature")] = 0.0,
    ) -> None:
        super().__init__()
        self.neighbours = neighbours
        self.temperature = temperature
        self.cloud_temperature = cloud_temperature or temperature

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Compare the two distributions."""
        side = CloudSide.of(batch, "csd")
        cloud, rows = nearest(side, self.neighbours, "csd")
        student = (batch.embeddings @ side.gallery.T).gather(1, rows)
        return contextual_similarity(
            student, cloud, temperature=self.temperature, cloud_temperature=self.cloud_temperature
        )
