"""Focal distillation of a student update: stay near the student that is replaced where its first hit was right."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hetero.errors import InputError
from hetero.objectives.backward_compatible import truncated_or_padded
from hetero.objectives.batch import Batch
from hetero.objectives.declaration import objective
from hetero.objectives.shared_options import Alpha, Beta


@objective(
    "focal_update",
    "near the student that this one replaces, most where its first hit was right (retrieval form of PCT)",
    needs={"cloud", "labels", "previous"},
)
class FocalUpdate(nn.Module):
    """Mean of ``(alpha + beta * 1(the old student was right)) * (1 - cosine with the old student's vector)``.

    Positive-congruent training (arXiv 2011.09161) for the second of two models in an update: the new student follows
    the new cloud model by its other terms, and the student that it replaces by this one. "Right" refers to the result
    that users saw: the old student's first hit in the old gallery. Where dimensions differ, the new vector is truncated
    or padded to the old one's, as in backward-compatible training.
    """

    def __init__(self, alpha: Alpha = 1.0, beta: Beta = 5.0) -> None:
        super().__init__()
        self.alpha = alpha
        self.beta = beta

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Compare the batch with the old student's vectors.

        Raises:
            InputError: When the batch carries no vectors of an old student.
        """
        if "previous" not in batch.inputs:
            raise InputError(
                "the objective focal_update needs the student that is replaced: give train_student(previous=...)"
            )
        previous, right = batch.inputs["previous"], batch.inputs["previous_right"]
        new = F.normalize(truncated_or_padded(batch.embeddings, previous.shape[1]), dim=1)
        weights = self.alpha + self.beta * right.to(new.dtype)
        return (weights * (1 - (new * previous).sum(dim=1))).mean()
