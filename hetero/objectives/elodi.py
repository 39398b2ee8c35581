"""ELODI: one student that follows an ensemble's largest logits."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hetero.objectives.batch import Batch
from hetero.objectives.focal_distillation import both_logits


def logit_difference_inhibition(
    logits: Float[Tensor, "b k"], ensemble: Float[Tensor, "b k"], *, classes: int, margin: float, power: float
) -> Float[Tensor, ""]:
    """Mean over images and an image's top classes of ``max(0, |z - z_ensemble| - margin)^power``.

    ELODI (arXiv 2205.06265): only the classes with the highest logits are held. Whose logits say which classes are
    highest is chosen here: the ensemble's, which do not move during training.

    Args:
        logits: Of the model in training.
        ensemble: Mean logits of the ensemble, on the same images.
        classes: How many classes count; all of them when there are fewer.
        margin: Differences up to it cost nothing.
        power: Of what exceeds the margin.
    """
    top = ensemble.topk(min(classes, ensemble.shape[1]), dim=1).indices
    differences = (logits - ensemble).abs().gather(1, top)
    return F.relu(differences - margin).pow(power).mean()


class Elodi(nn.Module):
    """:func:`logit_difference_inhibition`; the batch's cloud is the ensemble."""

    uses_logits = True

    def __init__(self, classes: int = 10, margin: float = 0.0, power: float = 2.0) -> None:
        super().__init__()
        self.classes = classes
        self.margin = margin
        self.power = power

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Hold the batch to the ensemble."""
        new, ensemble = both_logits(batch, "elodi")
        return logit_difference_inhibition(new, ensemble, classes=self.classes, margin=self.margin, power=self.power)
