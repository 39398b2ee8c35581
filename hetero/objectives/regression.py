"""Feature regression: the student's vector of an image is the cloud's vector of the same image."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from hetero.objectives.batch import Batch
from hetero.objectives.cloud_side import cloud_vectors


def cloud_regression(embeddings: Float[Tensor, "b d"], cloud: Float[Tensor, "b d"]) -> Float[Tensor, ""]:
    """Mean of one minus cosine; for unit vectors half the squared distance (AML, CVPR 2021, on normalised features).

    Args:
        embeddings: Unit vectors of the student.
        cloud: Unit vectors of the same images by the cloud model.
    """
    return (1.0 - (embeddings * cloud).sum(dim=1)).mean()


class CloudRegression(nn.Module):
    """:func:`cloud_regression` as an objective."""

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Regress the batch.

        Raises:
            InputError: When the batch carries no cloud embeddings of the model's dimension.
        """
        return cloud_regression(batch.embeddings, cloud_vectors(batch, "cloud_regression"))
