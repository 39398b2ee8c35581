"""The embedding model: ``uint8`` images in, unit vectors out, and everything in between in one graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional as F

from hetero.errors import InputError
from hetero.models.backbones.blocks import AveragePool, GeneralisedMean, unit
from hetero.models.config import ModelConfig
from hetero.models.families import family_called
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace


class EmbeddingModel(nn.Module):
    """Backbone, pooling, a linear embedding layer and a batch-norm neck.

    The neck (arXiv 1903.07071) centres the embedding before its length is fixed to one. Where the configuration names
    principal directions, both compute their coefficients, which a fixed linear layer expands (see
    :mod:`hetero.training.principal_layer`).

    Attributes:
        name: Name of the model in reports and bundles.
        config: The architecture.
        preprocessing: Preparation of an image; its scaling and normalisation are part of :meth:`forward`.
        space: The embedding space of its output, once known.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, config: ModelConfig, preprocessing: Preprocessing) -> None:
        super().__init__()
        config = config.for_images(preprocessing)
        self.name = name
        self.config = config
        self.preprocessing = preprocessing
        self.space: EmbeddingSpace | None = None
        self.backbone: nn.Module = family_called(config.family).build(config)
        _require_normalisation(config.family, self.backbone, preprocessing)
        _set_input_size(self.backbone, preprocessing)
        channels = int(self.backbone.channels)  # pyright: ignore[reportArgumentType]
        self.pool = GeneralisedMean() if config.pool == "gem" else AveragePool()
        coefficients = config.principal or config.dimension
        self.embedding = nn.Linear(channels, coefficients, bias=False)
        self.neck = nn.BatchNorm1d(coefficients)
        self.expansion = _fixed(coefficients, config.dimension) if config.principal else nn.Identity()
        self.register_buffer("mean", torch.tensor(preprocessing.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(preprocessing.std).view(1, 3, 1, 1), persistent=False)

    def pixels(self, images: UInt8[Tensor, "b h w 3"]) -> Float[Tensor, "b 3 h2 w2"]:
        """Return the normalised tensor that the network itself takes."""
        return (self._shrunk(images.permute(0, 3, 1, 2).float()) / 255.0 - self.mean) / self.std

    def embed(self, scaled_pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Return unit vectors of (augmented) images whose values are scaled to 0..1."""
        return self.embed_normalised((self._shrunk(scaled_pixels) - self.mean) / self.std)

    def embed_normalised(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b d"]:
        """Return unit vectors of images that :meth:`pixels` normalised."""
        return unit(self.expansion(self.neck(self.embedding(self.features(pixels)))))

    def features(self, pixels: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        """Return the pooled feature map, the embedding layer's input, of images that :meth:`pixels` normalised."""
        return self.pool(self.backbone(pixels))

    def forward(self, images: UInt8[Tensor, "b h w 3"]) -> Float[Tensor, "b d"]:
        """Return unit vectors of ``uint8`` RGB images that were resized by ``preprocessing``."""
        return self.embed_normalised(self.pixels(images))

    def _shrunk(self, planes: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h2 w2"]:
        """Average blocks of pixels, where the preprocessing shrinks images."""
        factor = self.preprocessing.shrink
        return planes if factor == 1 else F.avg_pool2d(planes, factor)

    def train(self, mode: bool = True) -> EmbeddingModel:
        """Set the mode as ``nn.Module.train`` does, but let a frozen backbone keep its batch statistics."""
        super().train(mode)
        if self.config.frozen:
            self.backbone.eval()
        return self


def _fixed(inputs: int, outputs: int) -> nn.Linear:
    """Make a linear layer without training: the first ``inputs`` axes, until a space's directions are known."""
    layer = nn.Linear(inputs, outputs).requires_grad_(False)
    nn.init.eye_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _set_input_size(backbone: nn.Module, preprocessing: Preprocessing) -> None:
    """Tell a backbone that was published for images of one size the size of its own."""
    resize: Callable[[int, int], None] | None = getattr(backbone, "set_input_size", None)
    if resize is not None:
        resize(preprocessing.height // preprocessing.shrink, preprocessing.width // preprocessing.shrink)


def _require_normalisation(family: str, backbone: nn.Module, preprocessing: Preprocessing) -> None:
    """Refuse a normalisation other than the one that a pretrained backbone was trained with."""
    for name in ("mean", "std"):
        expected: tuple[float, ...] | None = getattr(backbone, name, None)
        stated: tuple[float, ...] = getattr(preprocessing, name)
        if expected is not None and max(abs(a - b) for a, b in zip(expected, stated, strict=True)) > 1e-3:
            raise InputError(
                f"{family} was trained with {name} {list(expected)}, the preprocessing says {list(stated)}; "
                f"put {name} = {list(expected)} under [preprocessing]"
            )
