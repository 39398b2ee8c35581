"""Focal distillation of retrieval decisions: stay near the old model where its first hit was right."""

from __future__ import annotations

from typing import Annotated, Literal

from jaxtyping import Float, Int
from torch import Tensor, nn
from typing_extensions import Doc

from hetero.objectives.batch import Batch
from hetero.objectives.cloud_side import CloudSide
from hetero.objectives.declaration import objective
from hetero.objectives.shared_options import Alpha, Beta

Distance = Literal["cosine", "similarities"]


def right_at_rank_one(
    similarities: Float[Tensor, "b n"], labels: Int[Tensor, " b"], gallery_labels: Int[Tensor, " n"]
) -> Float[Tensor, " b"]:
    """Return one where the most similar entry of the gallery has the image's class, zero elsewhere."""
    return (gallery_labels[similarities.argmax(dim=1)] == labels).to(similarities.dtype)


def cosine_distance(embeddings: Float[Tensor, "b d"], old: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
    """Compute one minus cosine of each pair: half the squared distance of unit vectors."""
    return 1 - (embeddings * old).sum(dim=1)


def similarity_distance(
    embeddings: Float[Tensor, "b d"], old: Float[Tensor, "b d"], gallery: Float[Tensor, "n d"]
) -> Float[Tensor, " b"]:
    """Compute half the mean squared difference of similarities to the gallery: logit matching with a gallery."""
    return 0.5 * ((embeddings - old) @ gallery.T).square().mean(dim=1)


@objective(
    "focal_retrieval",
    "near the old model, most where its first hit was right (retrieval form of PCT)",
    needs={"cloud", "labels"},
)
class FocalRetrieval(nn.Module):
    """Mean of ``(alpha + beta * 1(the old model's first hit is right)) * distance``.

    Positive-congruent training (arXiv 2011.09161) covers classifiers only; this is our form of it for retrieval. A
    decision is the class of the first hit in the bank, without the image itself. The distance is one minus cosine
    (``cosine``, the default: it affects every decision of an image at once), or the difference of the similarities to
    the bank (``similarities``: changes that do not show in the gallery cost nothing).
    """

    def __init__(
        self,
        alpha: Alpha = 1.0,
        beta: Beta = 5.0,
        distance: Annotated[Distance, Doc("what is held")] = "cosine",
    ) -> None:
        super().__init__()
        self.alpha = alpha
        self.beta = beta
        self.distance: Distance = distance

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Distil the batch."""
        side = CloudSide.of(batch, "focal_retrieval")
        right = right_at_rank_one(side.similarities(side.vectors), batch.labels, side.labels)
        if self.distance == "cosine":
            distances = cosine_distance(batch.embeddings, side.vectors)
        else:
            distances = similarity_distance(batch.embeddings, side.vectors, side.gallery)
        return ((self.alpha + self.beta * right) * distances).mean()
