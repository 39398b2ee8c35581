"""Int8 of what networks are made of beyond convolutions that end in an activation."""

from __future__ import annotations

import gc
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from export.capture.program import capture
from export.capture.source import Source, from_module
from export.formats.converter import ConversionJob
from export.formats.executorch.rounding import Recorder
from export.formats.litert import convert as litert
from export.formats.litert.int8 import LiteRtQuantiser
from export.formats.onnx import convert as onnx
from export.formats.onnx.int8 import OnnxQuantiser
from export.precision.calibration import Calibration, calibration_set
from export.precision.choose import Choice
from export.precision.measure import mean_angle
from export.precision.ranges import observe
from hetero.preprocessing import Preprocessing
from tests.export.bundles import SPACE, images

PREPROCESSING = Preprocessing(height=16, width=16)
WIDTH = 8


class Network(nn.Module):
    """An activation in place, a padded maximum, a class token, two layer norms of equal weights, and attention."""

    def __init__(self) -> None:
        super().__init__()
        # Mostly negative: what an activation in place leaves of it is another range.
        self.stem = nn.Conv2d(3, WIDTH, 3, stride=2, padding=1)
        nn.init.constant_(self.stem.bias, -1.0)  # type: ignore[arg-type]
        self.activation = nn.Hardswish(inplace=True)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.token = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.norm, self.second_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query, self.key, self.value = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.head = nn.Linear(WIDTH, SPACE.dimension)

    def forward(self, x: Tensor) -> Tensor:
        patches = self.pool(self.activation(self.stem(x))).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), patches], dim=1)
        normed = self.norm(tokens)
        heads = (layer(normed).unflatten(2, (2, -1)).transpose(1, 2) for layer in (self.query, self.key, self.value))
        attended = nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        return self.head(self.second_norm(tokens + attended).mean(1))


def source() -> Source:
    torch.manual_seed(0)
    return from_module(Network().eval(), PREPROCESSING, SPACE, name="network")


@pytest.mark.slow
@pytest.mark.parametrize(("format", "most"), [("onnx", 2.0), ("litert", 6.0), ("executorch", 2.0)])
def test_int8_of_a_transformer(format: str, most: float) -> None:
    """LiteRT computes a layer norm in ten operators, each rounded."""
    model, pictures = source(), images(24, 1, PREPROCESSING)
    vectors = model.embed(pictures)
    known = Calibration(calibration_set(pictures, np.arange(24) // 2, vectors, SPACE), vectors)
    program, job = capture(model.module, model.example), ConversionJob(model.describe(), 16, 16, {}, known)
    if format == "onnx":
        quantiser = OnnxQuantiser(onnx.prepare(program, job).proto, known)
    elif format == "litert":
        quantiser = LiteRtQuantiser(litert.prepare(program, job).content, known)
    else:
        pytest.importorskip("executorch.exir", reason="needs the extra executorch")
        from export.formats.executorch.int8 import ExecuTorchQuantiser

        quantiser = ExecuTorchQuantiser(program, known)
    rows = np.arange(24)
    assert mean_angle(quantiser.embed(quantiser.quantise(Choice(), rows), rows), vectors) < most


def test_a_value_is_recorded_before_it_is_written_over() -> None:
    class InPlace(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x - 2.0).relu_()

    x = torch.tensor([[1.0, 3.0]])
    recorder = Recorder(torch.export.export(InPlace(), (x,)).module())  # type: ignore[arg-type]
    assert recorder.run(x).tolist() == [[0.0, 1.0]]
    assert [value.tolist() for value in recorder.values.values()] == [[[-1.0, 1.0]], [[0.0, 1.0]]]


def test_padding_of_infinity_has_no_part_in_a_range() -> None:
    padded = np.array([-np.inf, -1.0, 3.0], np.float32)
    nothing = np.full(2, -np.inf, np.float32)
    found = observe(lambda: [{"padded": padded, "nothing": nothing}, {"padded": padded[1:], "nothing": nothing}])
    assert (found["padded"].low, found["padded"].high, found["padded"].average) == (-1.0, 3.0, (-1.0, 3.0))
    assert found["padded"].counts.sum() == 4
    assert found["nothing"].low == 0.0


@pytest.mark.slow
def test_what_a_clamp_cuts_off_needs_no_room_in_executorch() -> None:
    from export.formats.executorch.rounding import observed

    quantiser = of_executorch()
    graph = quantiser.quantise(Choice(), np.arange(8))
    (convolution,) = [seen for _, node, seen in observed(graph.graph) if node.target is torch.ops.aten.conv2d.default]
    assert (float(convolution.min_val), float(convolution.max_val)) == (0.0, 6.0)
    assert mean_angle(quantiser.embed(graph, np.arange(8)), quantiser.calibration.torch) < 1.0


def of_executorch() -> Any:
    """A quantiser of a convolution, batch norm, ReLU6 and a linear layer."""
    pytest.importorskip("executorch.exir", reason="needs the extra executorch")
    from export.formats.executorch.int8 import ExecuTorchQuantiser

    torch.manual_seed(0)
    layers = nn.Conv2d(3, WIDTH, 4, 4), nn.BatchNorm2d(WIDTH), nn.ReLU6(inplace=True), nn.Flatten()
    network = nn.Sequential(*layers, nn.Linear(16 * WIDTH, SPACE.dimension))
    nn.init.normal_(network[0].weight, std=10.0)  # type: ignore[arg-type]
    model, pictures = from_module(network.eval(), PREPROCESSING, SPACE, name="network"), images(8, 1, PREPROCESSING)
    vectors = model.embed(pictures)
    known = Calibration(calibration_set(pictures, np.arange(8) // 2, vectors, SPACE), vectors)
    return ExecuTorchQuantiser(capture(model.module, model.example), known)


@pytest.mark.slow
def test_a_choice_of_layers_is_not_kept_in_executorch() -> None:
    quantiser, left = of_executorch(), list[int]()
    for layer in quantiser.layers:
        quantiser.quantise(Choice(float_layers=(layer,)), np.arange(8))
        gc.collect()
        left.append(sum(issubclass(type(one), GraphModule) for one in gc.get_objects()))
    first, second = left
    assert first == second


@pytest.mark.slow
def test_a_choice_of_layers_exports_nothing_in_executorch(monkeypatch: pytest.MonkeyPatch) -> None:
    quantiser = of_executorch()
    export = Mock(wraps=torch.export.export)
    monkeypatch.setattr(torch.export, "export", export)
    quantiser.quantise(Choice(float_layers=quantiser.layers[:1]), np.arange(8))
    assert export.call_count == 0
