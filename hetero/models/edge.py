"""The student family: MobileNetV3-like inverted residuals (arXiv 1905.02244)."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from hetero.models.blocks import ConvNorm, SqueezeExcite
from hetero.models.config import EDGE_STAGES, ModelConfig, Stage, scaled


class InvertedResidual(nn.Module):
    """Expand with 1x1, filter depthwise, project with 1x1; a shortcut where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, stage: Stage) -> None:
        super().__init__()
        inner = scaled(int(inputs * stage.expansion), 1.0)
        layers: list[nn.Module] = []
        if inner != inputs:
            layers.append(ConvNorm(inputs, inner, 1, activation=nn.Hardswish()))
        layers.append(ConvNorm(inner, inner, stage.kernel, stride, groups=inner, activation=nn.Hardswish()))
        if stage.squeeze_excite:
            layers.append(SqueezeExcite(inner))
        layers.append(ConvNorm(inner, outputs, 1))
        self.transform = nn.Sequential(*layers)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Transform, and add the input where shapes allow."""
        transformed = self.transform(features)
        return transformed + features if self.shortcut else transformed


class EdgeBackbone(nn.Sequential):
    """Stem, inverted residual stages and a last 1x1 expansion; ``channels`` is the width of its output."""

    def __init__(self, config: ModelConfig) -> None:
        channels = scaled(config.stem_channels, config.width)
        layers: list[nn.Module] = [ConvNorm(3, channels, 3, config.stem_stride, activation=nn.Hardswish())]
        for stage in config.stages or EDGE_STAGES:
            outputs = scaled(stage.channels, config.width)
            for index in range(stage.depth):
                layers.append(InvertedResidual(channels, outputs, stage.stride if index == 0 else 1, stage))
                channels = outputs
        last = 3 * channels
        layers.append(ConvNorm(channels, last, 1, activation=nn.Hardswish()))
        super().__init__(*layers)
        self.channels = last
