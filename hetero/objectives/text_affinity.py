"""Affinity mimicking: an image is as near to each text, and a text to each image, as with the cloud's image tower."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hetero.errors import InputError
from hetero.objectives.batch import Batch
from hetero.objectives.cloud_side import cloud_vectors
from hetero.objectives.declaration import objective
from hetero.objectives.shared_options import Temperature


def text_affinity(
    embeddings: Float[Tensor, "b d"],
    cloud: Float[Tensor, "b d"],
    texts: Float[Tensor, "t d"],
    *,
    temperature: float,
) -> Float[Tensor, ""]:
    """Compute the mean of two divergences, ``KL(cloud || student)``: of an image over texts, and of a text over images.

    Affinity mimicking as in TinyCLIP (arXiv 2309.12314, section 3.1), whose student has a text tower of its own; here
    the texts are the cloud's for both, and frozen. Its cross-entropy differs from the divergence by a constant.

    Args:
        embeddings: Unit vectors of the student.
        cloud: Unit vectors of the same images by the cloud model.
        texts: Unit vectors of texts; no text need describe any of the images.
        temperature: Divides the cosines of both models.
    """
    expected, actual = ((vectors @ texts.T) / temperature for vectors in (cloud, embeddings))
    both = [
        F.kl_div(of.log_softmax(dim=1), to.log_softmax(dim=1), reduction="batchmean", log_target=True)
        for of, to in ((actual, expected), (actual.T, expected.T))
    ]
    return (both[0] + both[1]) / 2


@objective(
    "text_affinity",
    "similarities to texts distributed as the cloud's (TinyCLIP, arXiv 2309.12314)",
    needs={"cloud", "texts"},
)
class TextAffinity(nn.Module):
    """:func:`text_affinity` with the run's texts: all but those by which the student is measured.

    It needs no pairs of text and image, and no labels. The temperature need not be the towers' own: theirs ranks the
    first few texts, a higher one all of them.
    """

    def __init__(self, temperature: Temperature = 0.1) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Compare the distributions.

        Raises:
            InputError: When the batch carries no texts, or no cloud embeddings of the model's dimension.
        """
        cloud = cloud_vectors(batch, "text_affinity")
        if batch.texts is None:
            raise InputError("the objective text_affinity needs vectors of texts: call CloudReference.with_texts")
        return text_affinity(batch.embeddings, cloud, batch.texts, temperature=self.temperature)
