"""ELODI: one student that follows an ensemble's largest logits."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Doc

from hetero.constraints import Count, NotNegative
from hetero.objectives.batch import Batch
from hetero.objectives.declaration import objective
from hetero.objectives.focal_distillation import both_logits


def logit_difference_inhibition(
    logits: Float[Tensor, "b k"], ensemble: Float[Tensor, "b k"], *, classes: int, margin: float, power: float
) -> Float[Tensor, ""]:
    """Compute the mean over images and their top classes of ``max(0, |z - z_ensemble| - margin)^power``.

    ELODI (arXiv 2205.06265): only the classes with the highest logits count. Here these are the classes with the
    ensemble's highest logits, which do not change during training.

    Args:
        logits: Logits of the model in training.
        ensemble: Mean logits of the ensemble, on the same images.
        classes: Number of classes that count; all of them when there are fewer.
        margin: Differences up to it cost nothing.
        power: Power of the excess over the margin.
    """
    top = ensemble.topk(min(classes, ensemble.shape[1]), dim=1).indices
    differences = (logits - ensemble).abs().gather(1, top)
    return F.relu(differences - margin).pow(power).mean()


@objective("elodi", "an ensemble's highest logits (ELODI, arXiv 2205.06265)", needs={"cloud", "labels", "own_head"})
class Elodi(nn.Module):
    """:func:`logit_difference_inhibition`; the batch's cloud is the ensemble."""

    def __init__(
        self,
        classes: Annotated[Count, Doc("classes with the highest logits that count")] = 10,
        margin: Annotated[NotNegative, Doc("differences up to it cost nothing")] = 0.0,
        power: Annotated[float, Ge(1), Doc("of what exceeds the margin")] = 2.0,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.margin = margin
        self.power = power

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Compare the batch's logits with the ensemble's."""
        new, ensemble = both_logits(batch, "elodi")
        return logit_difference_inhibition(new, ensemble, classes=self.classes, margin=self.margin, power=self.power)
