"""The student family: a stem, stages of small blocks and a last expansion (MobileNetV3, arXiv 1905.02244)."""

from __future__ import annotations

from torch import nn

from hetero.models.backbones.block_catalog import block_class
from hetero.models.backbones.blocks import ConvNorm, activation_layer
from hetero.models.config import ModelConfig, scaled


class EdgeBackbone(nn.Sequential):
    """Stem, one module a block, and a last 1x1 expansion; ``channels`` is the width of its output.

    Args:
        config: A complete configuration (:meth:`ModelConfig.for_images`).
    """

    def __init__(self, config: ModelConfig) -> None:
        stages = config.stages
        channels = scaled(config.stem_channels, config.width)
        first = activation_layer(stages[0].activation)
        layers: list[nn.Module] = [ConvNorm(3, channels, 3, config.stem_stride, activation=first)]
        for stage in stages:
            outputs = scaled(stage.channels, config.width)
            make = block_class(stage.block)
            for index in range(stage.depth):
                layers.append(make(channels, outputs, stage.stride if index == 0 else 1, stage))
                channels = outputs
        last = 3 * channels
        layers.append(ConvNorm(channels, last, 1, activation=activation_layer(stages[-1].activation)))
        super().__init__(*layers)
        self.channels = last
