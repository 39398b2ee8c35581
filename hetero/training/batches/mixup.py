"""Mixtures of two images, and of their vectors (mixup, arXiv 1710.09412)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor


@dataclass(frozen=True)
class Mixture:
    """The partner of each image of a batch, and the share in which the two are mixed.

    Attributes:
        share: Share of the image itself; the rest is its partner's.
        partner: int64 [b], place of the partner in the batch.
    """

    share: float
    partner: Int64[np.ndarray, " b"]

    @classmethod
    def draw(cls, images: int, alpha: float, generator: np.random.Generator) -> Mixture:
        """Draw one share for the whole batch from ``Beta(alpha, alpha)``, and random partners, as in the paper."""
        return cls(float(generator.beta(alpha, alpha)), generator.permutation(images))

    def of(self, values: Float[Tensor, "b ..."]) -> Float[Tensor, "b ..."]:
        """Return ``share * x + (1 - share) * x of the partner``."""
        partners = values[torch.from_numpy(self.partner).to(values.device)]
        return torch.lerp(partners, values, self.share)

    def of_vectors(self, vectors: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        """Mix unit vectors in the same way, and scale them to length one again."""
        return F.normalize(self.of(vectors), dim=1)
