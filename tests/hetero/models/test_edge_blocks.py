"""The blocks of the edge family: shapes, the channel shuffle by hand, and what a wrong name is told."""

import pytest
import torch

from hetero.errors import InputError
from hetero.models.backbones.block_catalog import BLOCKS, block_class, block_problem
from hetero.models.backbones.blocks import activation_layer
from hetero.models.backbones.edge_blocks import ShuffleUnit, interleaved
from hetero.models.config import ModelConfig, Stage
from hetero.models.model import EmbeddingModel
from hetero.own_code import VARIABLE
from hetero.preprocessing import Preprocessing


@pytest.mark.parametrize("kind", BLOCKS)
@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(16, 16, 1), (16, 24, 1), (8, 16, 2), (16, 16, 2)])
@pytest.mark.parametrize("excite", [False, True])
def test_every_block_gives_the_shape_that_it_was_made_for(kind, inputs, outputs, stride, excite):
    stage = Stage(channels=outputs, kernel=5, expansion=1.0, squeeze_excite=excite, block=kind)
    block = block_class(kind)(inputs, outputs, stride, stage).eval()
    assert block(torch.randn(2, inputs, 7, 7)).shape == (2, outputs, -(-7 // stride), -(-7 // stride))


def test_channels_take_turns():
    even, odd = torch.tensor([0.0, 2.0, 4.0]), torch.tensor([1.0, 3.0, 5.0])
    mixed = interleaved(even.view(1, 3, 1, 1).expand(2, 3, 1, 2), odd.view(1, 3, 1, 1).expand(2, 3, 1, 2))
    assert mixed[:, :, 0, :].unique(dim=2).flatten(1).tolist() == [[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]] * 2


def test_a_shuffle_unit_passes_half_of_its_channels_on_unchanged():
    unit = ShuffleUnit(16, 16, 1, Stage(channels=16, expansion=1.0)).eval()
    features = torch.randn(2, 16, 4, 4)
    assert torch.equal(unit(features)[:, 0::2], features[:, :8])
    assert not torch.equal(unit(features)[:, 1::2], features[:, 8:])


@pytest.mark.parametrize("name", ["relu", "relu6", "hardswish", "silu", "gelu"])
def test_the_activation_is_that_of_the_stage(name):
    stages = (Stage(channels=8, activation=name), Stage(channels=8, block="shuffle", activation=name))
    model = EmbeddingModel("it", ModelConfig(dimension=8, stages=stages), Preprocessing(16, 16))
    kind = type(activation_layer(name))
    found = [module for module in model.backbone.modules() if not list(module.children()) and _is_activation(module)]
    assert found and all(isinstance(module, kind) for module in found)


def _is_activation(module: torch.nn.Module) -> bool:
    return type(module).__module__ == "torch.nn.modules.activation"


def test_unknown_blocks_are_told(monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")
    assert block_problem("shuffle") == block_problem("own.blocks:Mine") == ""
    assert "expected one of inverted_residual, shuffle, or module:class" in block_problem("shufle")
    with pytest.raises(InputError, match="unknown block 'shufle'"):
        block_class("shufle")
    with pytest.raises(InputError, match="No module named 'nowhere'"):
        block_class("nowhere:Block")
    with pytest.raises(InputError, match="has no attribute 'Block'"):
        block_class("math:Block")
