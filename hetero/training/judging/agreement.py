"""Agreement: how alike two models' vectors are once what all vectors of the space have in common is taken away."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def agreement(
    vectors: Float[Tensor, "b d"], cloud: Float[Tensor, "b d"], centre: Float[Tensor, " d"]
) -> Float[Tensor, ""]:
    """Mean cosine of a student's vectors with the cloud's, after the space's mean is removed from both.

    Vectors of a pretrained network share a large mean: their plain cosine is high even where a student knows nothing.

    Args:
        vectors: The student's unit vectors.
        cloud: The cloud's, of the same images.
        centre: Mean of the cloud's training vectors.
    """
    return F.cosine_similarity(vectors - centre, cloud - centre, dim=1).mean()
