"""The blocks of the edge family, called as :mod:`hetero.models.backbones.block_catalog` describes."""

from __future__ import annotations

from collections import OrderedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hetero.models.backbones.blocks import ConvNorm, SqueezeExcite, activation_layer
from hetero.models.config import Stage, scaled


class InvertedResidual(nn.Module):
    """Expand with 1x1, filter depthwise, project with 1x1; a shortcut where shapes allow (arXiv 1905.02244).

    ``stage.expansion`` multiplies the input channels.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, stage: Stage) -> None:
        super().__init__()
        inner = scaled(int(inputs * stage.expansion), 1.0)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        if inner != inputs:
            layers["expand"] = ConvNorm(inputs, inner, 1, activation=activation_layer(stage.activation))
        filtering = activation_layer(stage.activation)
        layers["filter"] = ConvNorm(inner, inner, stage.kernel, stride, groups=inner, activation=filtering)
        if stage.squeeze_excite:
            layers["squeeze_excite"] = SqueezeExcite(inner)
        layers["project"] = ConvNorm(inner, outputs, 1)
        self.transform = nn.Sequential(layers)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Transform, and add the input where shapes allow."""
        transformed = self.transform(features)
        return transformed + features if self.shortcut else transformed


class ShuffleUnit(nn.Module):
    """Half of the channels pass by, the other half is transformed; then both are interleaved (arXiv 1807.11164).

    Where shapes change, both halves of the output are made from all of the input, one by a depthwise and a 1x1
    convolution alone. ``stage.expansion`` multiplies half of the output channels; 1 is the paper's unit.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, stage: Stage) -> None:
        super().__init__()
        half = outputs // 2
        self.splits = stride == 1 and inputs == outputs
        width = half if self.splits else inputs
        inner = scaled(int(half * stage.expansion), 1.0)
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            expand=ConvNorm(width, inner, 1, activation=activation_layer(stage.activation)),
            filter=ConvNorm(inner, inner, stage.kernel, stride, groups=inner),
        )
        if stage.squeeze_excite:
            layers["squeeze_excite"] = SqueezeExcite(inner)
        layers["project"] = ConvNorm(inner, half, 1, activation=activation_layer(stage.activation))
        self.transform = nn.Sequential(layers)
        self.beside = (
            nn.Identity()
            if self.splits
            else nn.Sequential(
                ConvNorm(inputs, inputs, stage.kernel, stride, groups=inputs),
                ConvNorm(inputs, half, 1, activation=activation_layer(stage.activation)),
            )
        )

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Transform one half, and interleave the channels of both."""
        bypass, source = features.chunk(2, dim=1) if self.splits else (features, features)
        return interleaved(self.beside(bypass), self.transform(source))


def interleaved(even: Float[Tensor, "b c h w"], odd: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h w"]:
    """Interleave the channels of both: ShuffleNet's channel shuffle with two groups (arXiv 1707.01083, section 3.1)."""
    _, half, height, width = even.shape
    # Four axes, since accelerators on phones seldom transpose five.
    groups = torch.cat([even, odd], dim=1).reshape(-1, 2, half, height * width)
    return groups.transpose(1, 2).reshape(-1, 2 * half, height, width)
