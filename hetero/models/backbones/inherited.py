"""A narrower and shallower copy of a pretrained EfficientNet-Lite, which inherits the weights that matter most.

Channels are kept by importance: how strongly a channel is written (its batch norm's scale, Liu et al., arXiv
1708.06519) times how strongly it is read (the L1 norm of the filters that read it, Li et al., arXiv 1608.08710). The
channels that blocks pass on through their shortcuts are chosen once for all of them. In each stage the first block is
kept, and of the others, each of which only adds to its input, those that add most.

The batch-norm statistics are still those of the whole network and no longer fit: training replaces them as it proceeds,
ten times as fast as the whole network's own momentum would.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from hetero.models.config import scaled

MOMENTUM = 0.1
"""Momentum of batch-norm statistics. With the package's .01, a fifth of the old ones would remain after 150 steps."""


def narrow(network: Any, width: float) -> None:
    """Cut an EfficientNet-Lite down, in place.

    Channels are scaled by ``width`` to multiples of 8, the depth of each stage by its square root, rounded up.

    Args:
        network: An EfficientNet-Lite of the package ``efficientnet_lite_pytorch``, with its weights.
        width: Scale of the channels, above 0 and at most 1.
    """
    stages = [_kept(stage, width) for stage in _stages(list(network._blocks))]
    # The first block has no expansion: the stem writes what it filters channel by channel.
    first = stages[0][0]
    stem = _largest(_scale(first._bn1) * _reading(first._project_conv), width)
    _keep_outputs(network._conv_stem, network._bn0, stem)
    inputs = stem
    for position, stage in enumerate(stages):
        readers = [*stage[1:], *(stages[position + 1][:1] if position + 1 < len(stages) else [])]
        read = sum((_reading(block._expand_conv) for block in readers), torch.zeros(()))
        read = read if readers else _reading(network._conv_head)
        outputs = _largest(sum((_scale(block._bn2) for block in stage), torch.zeros(())) * read, width)
        for block in stage:
            _narrow_block(block, inputs, outputs, width)
            inputs = outputs
    _keep_inputs(network._conv_head, inputs)
    _keep_outputs(network._conv_head, network._bn1, _largest(_scale(network._bn1), width))
    network._blocks = nn.ModuleList([block for stage in stages for block in stage])
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = MOMENTUM


def _stages(blocks: list[Any]) -> list[list[Any]]:
    """Divide blocks into runs that pass on the same channels: each run begins with a block without a shortcut."""
    stages: list[list[Any]] = []
    for block in blocks:
        if not _adds(block):
            stages.append([])
        stages[-1].append(block)
    return stages


def _adds(block: Any) -> bool:
    """Return True if a block adds to its input, by the package's own rule."""
    args = block._block_args
    return bool(block.id_skip and args.stride == 1 and args.input_filters == args.output_filters)


def _kept(stage: list[Any], width: float) -> list[Any]:
    count = math.ceil(len(stage) * math.sqrt(width))
    adding = sorted(range(1, len(stage)), key=lambda place: -float(_scale(stage[place]._bn2).mean()))
    places = {0, *adding[: count - 1]}
    return [block for place, block in enumerate(stage) if place in places]


def _narrow_block(block: Any, inputs: Int[Tensor, " i"], outputs: Int[Tensor, " o"], width: float) -> None:
    if hasattr(block, "_expand_conv"):
        inner = _largest(_scale(block._bn1) * _reading(block._project_conv), width)
        _keep_inputs(block._expand_conv, inputs)
        _keep_outputs(block._expand_conv, block._bn0, inner)
    else:
        inner = inputs
    _keep_outputs(block._depthwise_conv, block._bn1, inner)
    block._depthwise_conv.in_channels = block._depthwise_conv.groups = len(inner)
    _keep_inputs(block._project_conv, inner)
    _keep_outputs(block._project_conv, block._bn2, outputs)


def _largest(importance: Float[Tensor, " c"], width: float) -> Int[Tensor, " k"]:
    """Return the most important channels, in their own order; never more than there are."""
    count = min(len(importance), scaled(len(importance), width))
    return importance.argsort(descending=True, stable=True)[:count].sort().values


def _scale(norm: nn.BatchNorm2d) -> Float[Tensor, " c"]:
    return norm.weight.detach().abs()


def _reading(convolution: nn.Conv2d) -> Float[Tensor, " c"]:
    """Return the L1 norm of the filters that read each input channel."""
    return convolution.weight.detach().abs().sum(dim=(0, 2, 3))


def _keep_inputs(convolution: nn.Conv2d, channels: Int[Tensor, " k"]) -> None:
    convolution.weight = nn.Parameter(convolution.weight.detach()[:, channels].clone())
    convolution.in_channels = len(channels)


def _keep_outputs(convolution: nn.Conv2d, norm: nn.BatchNorm2d, channels: Int[Tensor, " k"]) -> None:
    convolution.weight = nn.Parameter(convolution.weight.detach()[channels].clone())
    convolution.out_channels = norm.num_features = len(channels)
    norm.weight = nn.Parameter(norm.weight.detach()[channels].clone())
    norm.bias = nn.Parameter(norm.bias.detach()[channels].clone())
    for name in ("running_mean", "running_var"):
        norm.register_buffer(name, getattr(norm, name)[channels].clone())
