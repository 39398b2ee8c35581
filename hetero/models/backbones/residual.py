"""The cloud family: residual networks with leaky ReLU (as linear fine-tuning likes them, arXiv 2012.11140)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hetero.models.backbones.blocks import ConvNorm
from hetero.models.config import ModelConfig, scaled

SLOPE = 0.01


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut (ResNet's basic block, arXiv 1512.03385)."""

    def __init__(self, inputs: int, outputs: int, stride: int, kernel: int) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, outputs, kernel, stride, activation=nn.LeakyReLU(SLOPE))
        # Each block starts as its shortcut.
        self.second = ConvNorm(outputs, outputs, kernel, start_at_zero=True)
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else _projection(inputs, outputs, stride)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Transform and add."""
        return F.leaky_relu(self.second(self.first(features)) + self.shortcut(features), SLOPE)


def _projection(inputs: int, outputs: int, stride: int) -> nn.Module:
    # Average, then project (ResNet-D, arXiv 1812.01187, section 4.2): a strided 1x1 convolution would read one pixel in
    # four, and its backward pass over 8 channels-last channels crashes in oneDNN as torch 2.13 ships it.
    pool = nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False) if stride > 1 else nn.Identity()
    return nn.Sequential(pool, ConvNorm(inputs, outputs, 1))


class ResidualBackbone(nn.Sequential):
    """Stem and residual stages; ``channels`` is the width of its output.

    Args:
        config: A complete configuration (:meth:`ModelConfig.for_images`).
    """

    def __init__(self, config: ModelConfig) -> None:
        channels = scaled(config.stem_channels, config.width)
        layers: list[nn.Module] = [ConvNorm(3, channels, 3, config.stem_stride, activation=nn.LeakyReLU(SLOPE))]
        for stage in config.stages:
            outputs = scaled(stage.channels, config.width)
            for index in range(stage.depth):
                layers.append(ResidualBlock(channels, outputs, stage.stride if index == 0 else 1, stage.kernel))
                channels = outputs
        super().__init__(*layers)
        self.channels = channels
