"""The layers of a network as data, each with the size of its input: the keys by which costs are looked up."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn import functional

from hetero.models.backbones.block_catalog import block_class
from hetero.models.backbones.blocks import AveragePool, ConvNorm, GeneralisedMean, activation_layer, unit
from hetero.models.config import ModelConfig, Stage, scaled
from hetero.nas.space.space import SearchSpace
from hetero.nas.space.stage_space import StageSpace
from hetero.preprocessing import Preprocessing

PIXELS, STEM, LAST, HEAD = "pixels", "stem", "last", "head"


@dataclass(frozen=True)
class Layer:
    """One layer at its place in a network: equal layers do equal work.

    Attributes:
        kind: ``pixels`` (bytes to normalised planes), ``stem``, ``last`` (the last expansion), ``head`` (pooling,
            embedding, neck and norm), or a block of :mod:`hetero.models.backbones.block_catalog`.
        inputs: Input channels.
        outputs: Output channels, or the embedding's dimension.
        height: Height of its input.
        width: Width of its input.
        stride: Stride of its spatial convolution; for ``pixels``, the factor by which the image is averaged down.
        stage: A block's stage, with one block and stride one; for other layers only the activation counts.
        pool: The head's pooling.
        principal: The head's principal directions that its embedding layer works in, 0 for all dimensions.
    """

    kind: str
    inputs: int
    outputs: int
    height: int
    width: int
    stride: int = 1
    stage: Stage = field(default_factory=lambda: Stage(channels=1))
    pool: str = ""
    principal: int = 0

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input image."""
        if self.kind == PIXELS:
            return (1, self.height, self.width, 3)
        return (1, self.inputs, self.height, self.width)

    def build(self) -> nn.Module:
        """Build the layer with fresh weights, in evaluation mode."""
        return self._module().eval()

    def _module(self) -> nn.Module:
        if self.kind == PIXELS:
            return _Pixels(self.stride)
        if self.kind == HEAD:
            return _Head(self)
        if self.kind in (STEM, LAST):
            kernel = 3 if self.kind == STEM else 1
            activation = activation_layer(self.stage.activation)
            return ConvNorm(self.inputs, self.outputs, kernel, self.stride, activation=activation)
        return block_class(self.kind)(self.inputs, self.outputs, self.stride, self.stage)


def layers_of(config: ModelConfig, preprocessing: Preprocessing) -> Iterator[Layer]:
    """Yield the layers of a network of the edge family, in the order of :class:`hetero.models.model.EmbeddingModel`."""
    config = config.for_images(preprocessing)
    stages = config.stages
    shrink = preprocessing.shrink
    yield Layer(PIXELS, 3, 3, preprocessing.height, preprocessing.width, shrink)
    height, width = preprocessing.height // shrink, preprocessing.width // shrink
    channels = scaled(config.stem_channels, config.width)
    yield Layer(STEM, 3, channels, height, width, config.stem_stride, _plain(stages[0]))
    height, width = _strided(height, config.stem_stride), _strided(width, config.stem_stride)
    for stage in stages:
        outputs = scaled(stage.channels, config.width)
        for index in range(stage.depth):
            stride = stage.stride if index == 0 else 1
            alone = replace(stage, channels=outputs, depth=1, stride=1)
            yield Layer(stage.block, channels, outputs, height, width, stride, alone)
            height, width, channels = _strided(height, stride), _strided(width, stride), outputs
    last = 3 * channels
    yield Layer(LAST, channels, last, height, width, 1, _plain(stages[-1]))
    yield Layer(HEAD, last, config.dimension, height, width, pool=config.pool, principal=config.principal)


def layers_of_space(space: SearchSpace, preprocessing: Preprocessing, dimension: int) -> list[Layer]:
    """Return every layer that occurs in some network of a space."""
    shrink = preprocessing.shrink
    height, width = preprocessing.height // shrink, preprocessing.width // shrink
    layers = [Layer(PIXELS, 3, 3, preprocessing.height, preprocessing.width, shrink)]
    for activation in space.stages[0].activation:
        stem = Stage(channels=1, activation=activation)
        layers.append(Layer(STEM, 3, space.stem_channels, height, width, space.stem_stride, stem))
    height, width = _strided(height, space.stem_stride), _strided(width, space.stem_stride)
    before: tuple[int, ...] = (space.stem_channels,)
    for stage in space.stages:
        after = _strided(height, stage.stride), _strided(width, stage.stride)
        for block in _blocks(stage, space.kind):
            layers += [
                Layer(block.block, inputs, block.channels, height, width, stage.stride, block) for inputs in before
            ]
            if max(stage.depth) > 1:
                layers.append(Layer(block.block, block.channels, block.channels, *after, 1, block))
        (height, width), before = after, stage.channels
    for channels, activation in itertools.product(before, space.stages[-1].activation):
        layers.append(Layer(LAST, channels, 3 * channels, height, width, 1, Stage(channels=1, activation=activation)))
    layers += [Layer(HEAD, 3 * channels, dimension, height, width, pool=space.pool) for channels in before]
    return list(dict.fromkeys(layers))


def _blocks(stage: StageSpace, kinds: tuple[str, ...]) -> Iterator[Stage]:
    """Yield every block of a stage, each as a stage by itself."""
    of_block = itertools.product(kinds, stage.kernel, stage.expansion, stage.squeeze_excite)
    for (kind, kernel, expansion, squeeze_excite), channels, activation in itertools.product(
        list(of_block), stage.channels, stage.activation
    ):
        yield Stage(
            channels=channels,
            kernel=kernel,
            expansion=expansion,
            squeeze_excite=squeeze_excite,
            block=kind,
            activation=activation,
        )


def _plain(stage: Stage) -> Stage:
    return Stage(channels=1, activation=stage.activation)


def _strided(side: int, stride: int) -> int:
    return -(-side // stride)


class _Pixels(nn.Module):
    """A copy of the model's own pixel layer, with an arbitrary mean and deviation."""

    def __init__(self, shrink: int) -> None:
        super().__init__()
        self.shrink = shrink

    def forward(self, images: UInt8[Tensor, "b h w 3"]) -> Float[Tensor, "b 3 h2 w2"]:
        planes = images.permute(0, 3, 1, 2).float()
        return ((planes if self.shrink == 1 else functional.avg_pool2d(planes, self.shrink)) / 255.0 - 0.5) / 0.5


class _Head(nn.Module):
    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.pool: Any = GeneralisedMean() if layer.pool == "gem" else AveragePool()
        coefficients = layer.principal or layer.outputs
        self.embedding = nn.Linear(layer.inputs, coefficients, bias=False)
        self.neck = nn.BatchNorm1d(coefficients)
        self.expansion = nn.Linear(coefficients, layer.outputs) if layer.principal else nn.Identity()

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        return unit(self.expansion(self.neck(self.embedding(self.pool(features)))))
