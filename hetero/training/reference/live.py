"""The cloud model beside a student in training: it embeds the images with the changes made for the student."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn

from hetero.data.augmentation.frames import Frames, frames_of
from hetero.data.images import ImageSet
from hetero.models.external.embedders import ImageEmbedder, unit_vectors
from hetero.models.model import EmbeddingModel


@dataclass(frozen=True)
class LiveCloud:
    """A cloud model that runs while a student trains.

    Attributes:
        model: The cloud model.
        share: Share of each batch's images that it embeds; 1 for all of them.
        images: The training images as it expects them; None when they are prepared as the student's are.
        frames: The frames in which changes of these images are described; None for their own frame.
    """

    model: EmbeddingModel | ImageEmbedder
    share: float = 1.0
    images: ImageSet | None = None
    frames: Frames | None = None

    @classmethod
    def of(cls, model: EmbeddingModel | ImageEmbedder, share: float, images: ImageSet) -> LiveCloud:
        """Prepare a student's training images for a cloud model, where it expects another preparation than the student.

        Args:
            model: The cloud model.
            share: Share of each batch's images that it embeds.
            images: Prepared for the student. Each changed picture is the same for both: random numbers are drawn once,
                and described in the student's frame.

        Raises:
            InputError: When the model expects another preparation, and only the prepared pixels are at hand.
        """
        prepared = images.prepared_by(model.preprocessing)
        if prepared is images:
            return cls(model, share)
        return cls(model, share, prepared, frames_of(images, model.preprocessing))

    def on(self, fabric: Fabric) -> LiveCloud:
        """Move the model to the run's device, where it can be moved, and freeze it."""
        if isinstance(self.model, nn.Module):
            self.model.eval().requires_grad_(False).to(fabric.device)
        return self

    @torch.no_grad()
    def embed(
        self, pixels: Float[Tensor, "m 3 h w"], autocast: AbstractContextManager[object] | None = None
    ) -> Float[Tensor, "m c"]:
        """Return float32 unit vectors of changed images, scaled to 0..1; a model of uint8 images gets them rounded.

        Args:
            pixels: As the model expects them, except for scaling and normalisation, which are part of it.
            autocast: Context in which a model of this project computes.
        """
        if isinstance(self.model, nn.Module):
            with autocast or nullcontext():
                vectors = self.model.embed(pixels)
            return F.normalize(vectors.float(), dim=1)
        images = (pixels * 255.0).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        vectors = self.model.embed(np.ascontiguousarray(images))
        checked = unit_vectors(np.asarray(vectors), np.arange(len(images)), self.model.space.dimension)
        return torch.from_numpy(checked).to(pixels.device)
