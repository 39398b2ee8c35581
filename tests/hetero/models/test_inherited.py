"""A narrowed EfficientNet-Lite computes what the chosen channels of the whole one compute."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from hetero.errors import InputError
from hetero.models.backbones import inherited
from hetero.models.backbones.pretrained import backbone
from hetero.models.config import ModelConfig, scaled
from hetero.models.cost import untrained_cost, widest_within, widths_of
from hetero.models.directory import load_model, save_model
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace

LITE = "efficientnet_lite0"
SHAPE = Preprocessing(32, 32, mean=(127 / 255,) * 3, std=(128 / 255,) * 3)

pytest.importorskip("efficientnet_lite_pytorch")


@pytest.fixture(scope="module")
def whole() -> Any:
    return backbone(LITE).network.eval()


def pixels(count: int = 2) -> torch.Tensor:
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_width_one_is_the_network_itself(whole):
    same = copy.deepcopy(whole)
    inherited.narrow(same, 1.0)
    with torch.no_grad():
        assert torch.equal(same.extract_features(pixels()), whole.extract_features(pixels()))


def test_channels_that_matter_not_are_the_ones_that_go(whole):
    """Silence half of every kind of channel in the whole network; the narrow one then computes the same."""
    quiet, generator = copy.deepcopy(whole), torch.Generator().manual_seed(1)
    streams: list[list[Any]] = []
    for block in quiet._blocks:
        if not (block.id_skip and block._block_args.stride == 1 and _same_width(block)):
            streams.append([])
        streams[-1].append(block)
    _silence([quiet._bn0, quiet._blocks[0]._bn1], generator)
    for stream in streams:
        _silence([block._bn2 for block in stream], generator)
        for block in stream:
            if hasattr(block, "_expand_conv"):
                _silence([block._bn0, block._bn1], generator)
    _silence([quiet._bn1], generator)
    narrow = copy.deepcopy(quiet)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inherited, "_kept", lambda stage, _width: stage)
        patch.setattr(inherited, "scaled", lambda channels, width: int(channels * width))
        inherited.narrow(narrow, 0.5)
    with torch.no_grad():
        before, after = quiet.extract_features(pixels()), narrow.extract_features(pixels())
    assert after.shape[1] == 640 and quiet._bn1.weight.count_nonzero() == 640
    torch.testing.assert_close(after, before[:, quiet._bn1.weight != 0], atol=1e-4, rtol=1e-4)
    assert before.std() > 1e-3


def _same_width(block: Any) -> bool:
    return block._block_args.input_filters == block._block_args.output_filters


def _silence(norms: list[nn.BatchNorm2d], generator: torch.Generator) -> None:
    channels = norms[0].num_features
    gone = torch.randperm(channels, generator=generator)[: channels - channels // 2]
    with torch.no_grad():
        for norm in norms:
            norm.weight[gone] = 0
            norm.bias[gone] = 0


@pytest.mark.parametrize("width", [0.1, 0.25, 0.6])
def test_widths_and_depths(whole, width):
    narrow = backbone(LITE, width=width)
    assert narrow.channels == narrow.network._conv_head.out_channels == scaled(1280, width)
    ends = [block._project_conv.out_channels for block in narrow.network._blocks]
    stages = (16, 24, 40, 80, 112, 192, 320)
    assert list(dict.fromkeys(ends)) == list(dict.fromkeys(scaled(channels, width) for channels in stages))
    assert 7 <= len(narrow.network._blocks) <= len(whole._blocks)
    for block in narrow.network._blocks:
        depthwise = block._depthwise_conv
        assert depthwise.groups == depthwise.in_channels == depthwise.weight.shape[0] == block._bn1.num_features
    norms = [module for module in narrow.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {0.1}, "statistics of the whole network must go soon"
    narrow.eval()(pixels()).sum().backward()
    assert all(parameter.grad is not None for parameter in narrow.parameters())
    again = backbone(LITE, width=width)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in narrow.state_dict().items())


def test_the_widest_within_a_budget():
    config = ModelConfig(family=LITE, dimension=8)
    found = widest_within(config, SHAPE, macs=1_000_000)
    place = widths_of(config).index(found.width)
    assert untrained_cost(found, SHAPE).macs <= 1_000_000
    assert untrained_cost(config.with_width(widths_of(config)[place + 1]), SHAPE).macs > 1_000_000
    assert widest_within(config, SHAPE, macs=10**12).width == 1


def test_widths_that_a_family_has_not():
    with pytest.raises(InputError, match="width: expected at most 1 for efficientnet_lite0"):
        ModelConfig(family=LITE, width=1.5)
    with pytest.raises(InputError, match="width: timm:resnet18 has one width, expected 1, got 0.5"):
        ModelConfig(family="timm:resnet18", width=0.5)
    assert widths_of(ModelConfig(family="timm:resnet18")) == (1.0,)
    assert max(widths_of(ModelConfig())) > 1


def test_a_narrowed_model_is_saved_and_loaded(tmp_path):
    model = EmbeddingModel("lite", ModelConfig(family=LITE, dimension=8, width=0.2), SHAPE).eval()
    model.space = EmbeddingSpace.define(defined_by="x", name="cloud", version="1", dimension=8)
    save_model(tmp_path, model, {})
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8))
    assert torch.equal(load_model(tmp_path)(images), model(images))
