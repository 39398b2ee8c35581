"""The part of an embedding model that may change: everything below it is frozen, and computed once an image."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from hetero.data.images import Images, require_size
from hetero.display.progress import Bar
from hetero.errors import InputError
from hetero.linear.config import Part
from hetero.models.backbones.blocks import unit
from hetero.models.config import ModelConfig
from hetero.models.families import family_called
from hetero.models.model import EmbeddingModel


@dataclass(frozen=True)
class Divided:
    """A model divided in two.

    Attributes:
        model: The whole.
        below: The lower part, from normalised pixels to the inputs of the upper part; its weights stay as they are.
        upper: The upper part, from there to unit vectors; its weights have the same names as in the model.
    """

    model: EmbeddingModel
    below: Callable[[Tensor], Tensor]
    upper: nn.Module

    def inputs(self, images: Images, *, batch_size: int = 256, progress: str = "") -> Float[Tensor, "n ..."]:
        """Compute the inputs of the upper part for images.

        Args:
            images: uint8 [n, h, w, 3], resized by the model's preprocessing.
            batch_size: Images at a time.
            progress: Label of a progress bar; none when empty.

        Raises:
            InputError: When the images have another size than the model's.
        """
        require_size(images, self.model.preprocessing, f"the model {self.model.name}")
        self.model.eval()
        starts = range(0, len(images), batch_size)
        inputs: list[Tensor] = []
        with torch.no_grad():
            for start in Bar(starts, desc=progress, disable=not progress, unit="batch"):
                rows = np.arange(start, min(start + batch_size, len(images)))
                inputs.append(self._inputs(torch.from_numpy(np.ascontiguousarray(images[rows]))))
        return torch.cat(inputs)

    def _inputs(self, images: UInt8[Tensor, "b h w 3"]) -> Float[Tensor, "b ..."]:
        return self.below(self.model.pixels(images)).contiguous()


class _Upper(nn.Module):
    """The layers of a model from some layer of its backbone on, or from the embedding layer on."""

    def __init__(self, model: EmbeddingModel, backbone: nn.Module | None) -> None:
        super().__init__()
        self.backbone = backbone
        self.pool = None if backbone is None else model.pool
        self.embedding, self.neck, self.expansion = model.embedding, model.neck, model.expansion

    def forward(self, inputs: Float[Tensor, "b ..."]) -> Float[Tensor, "b d"]:
        """Return unit vectors."""
        if self.backbone is not None and self.pool is not None:
            inputs = self.pool(self.backbone(inputs))
        return unit(self.expansion(self.neck(self.embedding(inputs))))


def divided(model: EmbeddingModel, part: Part) -> Divided:
    """Divide a model at the lowest layer that may change.

    Args:
        model: The model, which is put in evaluation mode.
        part: ``neck`` for the embedding layer and its batch norm, ``last-stage`` for these and the last stage of the
            backbone with what follows it, ``all`` for every weight that is not frozen.

    Raises:
        InputError: For ``last-stage`` of a backbone that is not a sequence of stages.
    """
    require_part(model.config, part)
    model.eval()
    if part == "neck":
        return Divided(model, model.features, _Upper(model, None))
    if part == "all":
        return Divided(model, nn.Identity(), _Upper(model, model.backbone))
    lower, upper = _at_last_stage(model)
    return Divided(model, lower, _Upper(model, upper))


def require_part(config: ModelConfig, part: Part) -> None:
    """Refuse a part that models of a family do not have.

    Raises:
        InputError: In the same cases as :func:`divided`.
    """
    if part == "last-stage" and family_called(config.family).after_stages is None:
        raise InputError(f"part: {config.family} is not divided into stages here; expected neck or all")


def _at_last_stage(model: EmbeddingModel) -> tuple[nn.Sequential, nn.Sequential]:
    family = family_called(model.config.family)
    assert family.after_stages is not None
    stages = model.config.stages or family.stages
    layers = list(model.backbone.named_children())
    place = len(layers) - stages[-1].depth - family.after_stages
    return nn.Sequential(OrderedDict(layers[:place])), nn.Sequential(OrderedDict(layers[place:]))
