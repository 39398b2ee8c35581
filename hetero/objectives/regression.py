"""Feature regression: the student's vector of an image is the cloud's vector of the same image."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from hetero.objectives.batch import Batch
from hetero.objectives.cloud_side import cloud_vectors, comparable
from hetero.objectives.declaration import objective
from hetero.objectives.shared_options import Centred


def cloud_regression(embeddings: Float[Tensor, "b d"], cloud: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """Compute the mean of one minus cosine: half the squared distance of unit vectors (AML, CVPR 2021, normalised).

    Args:
        embeddings: Unit vectors of the student.
        cloud: Unit vectors of the same images by the cloud model.
    """
    return (1.0 - (embeddings * cloud).sum(dim=1)).mean()


@objective("cloud_regression", "the vector equals the cloud's (AML, arXiv 2006.16331)", needs={"cloud"})
class CloudRegression(nn.Module):
    """:func:`cloud_regression` as an objective.

    Args:
        centred: True to compare directions from the space's centre (:meth:`Batch.centred`).
    """

    def __init__(self, centred: Centred = False) -> None:
        super().__init__()
        self.centred = centred

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Regress the batch.

        Raises:
            InputError: When the batch carries no cloud embeddings of the model's dimension.
        """
        view = comparable(batch, "cloud_regression", centred=self.centred)
        return cloud_regression(view.embeddings, cloud_vectors(view, "cloud_regression"))
