"""Costs by layer are the costs of the network, and operators are what it computes."""

from __future__ import annotations

from dataclasses import replace

import jaxtyping
import numpy as np
import pytest
import torch
from torch import nn

from hetero.errors import InputError, IntegrityError
from hetero.models.backbones.handmade import HANDMADE, handmade
from hetero.models.config import ModelConfig, Stage
from hetero.models.cost import cost
from hetero.models.model import EmbeddingModel
from hetero.nas.cost.budget import Budget
from hetero.nas.cost.cost import CostModel, network_costs
from hetero.nas.cost.latency_table import LatencyTable, RuntimeTable
from hetero.nas.cost.layers import Layer, layers_of, layers_of_space
from hetero.nas.cost.operators import distinct_operators, operator_names
from hetero.nas.space.file import built_in_space
from hetero.own_code import VARIABLE
from hetero.preprocessing import Preprocessing
from tests.hetero.nas.tiny import SHAPE
from tests.hetero.nas.tiny import SPACE as TINY

DEMO = replace(built_in_space("demo"), kind=("inverted_residual", "shuffle"))
SMALL = Preprocessing(height=32, width=32)
OWN = Stage(channels=8, stride=1, block="tests.hetero.nas.tiny:OwnBlock")


@pytest.mark.parametrize("seed", range(4))
def test_a_candidate_costs_what_its_network_costs(seed):
    point = DEMO.sample(np.random.default_rng(seed))
    config = DEMO.config(point, dimension=32)
    whole = cost(EmbeddingModel("one", config, SMALL))
    costs = CostModel(DEMO, SMALL, 32)(point)
    assert (costs["macs"], costs["parameters"]) == (whole.macs, whole.parameters)


@pytest.mark.parametrize("name", HANDMADE)
def test_hand_made_networks_are_counted_too(name):
    config = handmade(name, stem_stride=2, dimension=16).with_width(0.5)
    whole = cost(EmbeddingModel("one", config, Preprocessing(height=66, width=50)))
    assert network_costs(config, Preprocessing(height=66, width=50), None)["macs"] == whole.macs


def test_an_unknown_hand_made_network_is_refused():
    with pytest.raises(InputError, match="mobilenetv3-like"):
        handmade("resnet")


def test_a_file_holds_the_weights_with_batch_norm_folded_in():
    config = ModelConfig(dimension=8, stem_channels=8, stages=(Stage(channels=8, expansion=1.0),))
    # Stem, depthwise, project and last, each with a bias; the linear layer with the neck folded into it.
    weights = (3 * 9 + 1) * 8 + (9 + 1) * 8 + (8 + 1) * 8 + (8 + 1) * 24 + (24 + 1) * 8
    assert network_costs(config, SHAPE, None)["size_mb"] == pytest.approx(4 * weights / 1e6)


def test_every_layer_of_every_point_is_among_the_layers_of_the_space():
    layers = set(layers_of_space(DEMO, SMALL, 32))
    rng = np.random.default_rng(0)
    for point in [DEMO.smallest, DEMO.largest, *(DEMO.sample(rng) for _ in range(30))]:
        assert set(layers_of(DEMO.config(point, dimension=32), SMALL)) <= layers


def test_no_layer_of_the_space_is_beyond_its_points():
    layers = {layer for point in TINY for layer in layers_of(TINY.config(point, dimension=8), SHAPE)}
    assert layers == set(layers_of_space(TINY, SHAPE, 8))


@pytest.fixture
def traceable(monkeypatch):
    """Tracing calls functions with stand-ins, which the type checks of the tests refuse."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    operator_names.cache_clear()
    yield
    operator_names.cache_clear()


@pytest.mark.usefixtures("traceable")
def test_operators_are_named_by_what_they_compute():
    shuffle = Layer("shuffle", 16, 16, 8, 8, 1, Stage(channels=16, expansion=1.0, block="shuffle"))
    names = operator_names(shuffle)
    assert [name.split("(")[0].strip() for name in names[:-1]] == ["chunk", "ConvNorm", "ConvNorm", "ConvNorm"]
    assert "cat(1)" in names[-1]
    assert names[0].endswith("@ 16x8x8") and names[-1].endswith("@ 8x8x8, 8x8x8")
    edge = Layer("inverted_residual", 16, 16, 8, 8, 1, Stage(channels=16, expansion=2.0, squeeze_excite=True))
    assert [name.split("(")[0] for name in operator_names(edge)] == [
        *("ConvNorm", "ConvNorm", "SqueezeExcite", "ConvNorm"), "add",
    ]  # fmt: skip


@pytest.mark.usefixtures("traceable")
def test_each_operator_takes_and_computes_what_its_name_says():
    rng = np.random.default_rng(1)
    layers = [layer for _ in range(3) for layer in layers_of(DEMO.config(DEMO.sample(rng), dimension=16), SMALL)]
    for name, operator in distinct_operators(layers).items():
        assert name.endswith(", ".join("x".join(map(str, one.shape[1:])) for one in operator.examples))
        for convolution in (one for one in operator.module.modules() if isinstance(one, nn.Conv2d)):
            assert repr(convolution) in name
        with torch.no_grad():
            operator.module(*operator.examples)


def test_a_users_block_is_taken_apart_like_any_other(monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")
    layer = Layer("tests.hetero.nas.tiny:OwnBlock", 8, 8, 8, 8, 1, OWN)
    first, *rest = operator_names(layer)
    assert first.startswith("Conv2d(8, 8") and len(rest) == 1


TABLE = LatencyTable({"name": "desk"}, {"litert": RuntimeTable("1", 0.5, {"one": 1.0, "two": 2.0})})


def test_a_network_takes_a_call_and_its_operators():
    assert TABLE.sum("litert", ["one", "two", "two"]) == 5.5


def test_what_was_not_measured_is_named():
    with pytest.raises(InputError, match="not 'onnxruntime'"):
        TABLE.sum("onnxruntime", [])
    with pytest.raises(InputError, match="device latency") as caught:
        TABLE.sum("litert", ["one", "three"])
    assert caught.value.problems == ("three",)


def test_costs_hold_the_predicted_latency_of_every_runtime():
    point = TINY.smallest
    names = [name for layer in layers_of(TINY.config(point, dimension=8), SHAPE) for name in operator_names(layer)]
    table = LatencyTable({}, {"litert": RuntimeTable("1", 0.25, dict.fromkeys(names, 0.5))})
    assert CostModel(TINY, SHAPE, 8, table)(point)["latency_ms.litert"] == 0.25 + 0.5 * len(names)


def test_costs_hold_instructions_where_these_were_counted():
    layers = list(layers_of(TINY.config(TINY.smallest, dimension=8), SHAPE))
    names = [name for layer in layers for name in operator_names(layer)]
    table = LatencyTable({}, {"litert": RuntimeTable("1", 1e4, dict.fromkeys(names, 1e3))}, "instructions")
    costs = CostModel(TINY, SHAPE, 8, table)(TINY.smallest)
    assert costs["instructions.litert"] == 1e4 + 1e3 * len(names)
    with pytest.raises(InputError, match=r"limits latency_ms\.litert, known are .*instructions\.litert"):
        Budget.parse("latency_ms.litert <= 1").allows(costs)


def test_a_table_is_read_as_it_was_written(tmp_path):
    TABLE.save(tmp_path / "table.json")
    assert LatencyTable.load(tmp_path / "table.json") == TABLE
    (tmp_path / "table.json").write_text("{}")
    with pytest.raises(IntegrityError):
        LatencyTable.load(tmp_path / "table.json")
    with pytest.raises(InputError, match="device latency"):
        LatencyTable.load(tmp_path / "none.json")
