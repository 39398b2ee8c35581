"""Agreement: the similarity of two models' vectors once the mean of the space is removed."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def agreement(
    vectors: Float[Tensor, "b d"], cloud: Float[Tensor, "b d"], centre: Float[Tensor, " d"]
) -> Float[Tensor, ""]:
    """Return the mean cosine of a student's vectors with the cloud's, after the space's mean is removed from both.

    Vectors of a pretrained network share a large mean: their plain cosine is high even where a student has learnt
    nothing.

    Args:
        vectors: The student's unit vectors.
        cloud: The cloud's unit vectors of the same images.
        centre: Mean of the cloud's training vectors.
    """
    return F.cosine_similarity(vectors - centre, cloud - centre, dim=1).mean()
