"""Biases that take back what rounded weights shift."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from export.capture.program import capture
from export.capture.source import Source, from_module
from export.formats.converter import ConversionJob
from export.formats.litert import bias as litert_bias
from export.formats.litert import convert as litert
from export.formats.litert import file as litert_file
from export.formats.litert.int8 import LiteRtQuantiser
from export.formats.onnx import convert as onnx
from export.formats.onnx.int8 import OnnxQuantiser
from export.precision.bias import dequantised, shift
from export.precision.calibration import Calibration, calibration_set
from export.precision.choose import Choice
from export.precision.measure import mean_angle
from hetero.preprocessing import Preprocessing
from tests.export.bundles import SPACE, images

PREPROCESSING = Preprocessing(height=8, width=8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def test_shift_of_a_fully_connected_layer() -> None:
    error = np.array([[0.1, -0.2], [0.0, 0.3]])
    assert shift(error, np.array([2.0, 1.0])) == pytest.approx([0.0, 0.3])


def test_shift_of_convolutions() -> None:
    # Two output channels of two places each see two input channels.
    error = np.array([[[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [1.0, -2.0]]])
    assert shift(error, np.array([10.0, 1.0])) == pytest.approx([37.0, -1.0])
    # Depthwise: each sees its own. Grouped: outputs 0 and 1 see inputs 0 and 1, outputs 2 and 3 inputs 2 and 3.
    assert shift(np.array([[[1.0, 2.0]], [[3.0, 4.0]]]), np.array([10.0, 1.0])) == pytest.approx([30.0, 7.0])
    grouped = np.tile(np.array([[[1.0], [2.0]]]), (4, 1, 1))
    assert shift(grouped, np.array([1.0, 1.0, 10.0, 100.0])) == pytest.approx([3.0, 3.0, 210.0, 210.0])


def test_dequantised_along_an_axis() -> None:
    values = np.array([[1, -2], [3, 4]], np.int8)
    assert dequantised(values, np.array([0.5], np.float32), 1).tolist() == [[0.5, -1.0], [1.5, 2.0]]
    assert dequantised(values, np.array([0.5, 2.0], np.float32), 1).tolist() == [[0.5, -4.0], [1.5, 8.0]]


def biased_source() -> Source:
    """A network whose weights all round down: one large weight makes each scale so coarse."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 12, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(12, 12, 3, padding=1, groups=12),
        torch.nn.ReLU(),
        torch.nn.Conv2d(12, 8, 1),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, SPACE.dimension),
    )
    with torch.no_grad():
        for module in network:
            if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                weight = module.weight.view(len(module.weight), -1)
                coarse = weight.abs().amax(dim=1, keepdim=True)
                steps = torch.randint(-12, 24, weight.shape)
                weight.copy_((steps + 0.45) * coarse / 127)
                weight[:, 0] = coarse[:, 0]
    return from_module(network, PREPROCESSING, SPACE, name="biased")


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "litert"])
def test_corrected_biases_bring_vectors_closer_and_cost_nothing(format: str) -> None:
    source = biased_source()
    pictures = np.clip(images(24, 1, PREPROCESSING), 40, 215)
    vectors = source.embed(pictures)
    known = Calibration(calibration_set(pictures, np.arange(24) // 2, vectors, SPACE), vectors)
    program, job = capture(source.module, source.example), ConversionJob(source.describe(), 8, 8, {}, known)
    quantiser = (
        OnnxQuantiser(onnx.prepare(program, job).proto, known)
        if format == "onnx"
        else LiteRtQuantiser(litert.prepare(program, job).content, known)
    )
    rows, asked = np.arange(0, 24, 2), np.arange(1, 24, 2)
    for scales in ("channel", "tensor"):
        plain, corrected = (
            quantiser.quantise(Choice(scales=scales, bias_correction=corrects), rows) for corrects in (False, True)
        )
        before, after = (mean_angle(quantiser.embed(content, asked), vectors[asked]) for content in (plain, corrected))
        assert after < 0.5 * before
        assert abs(len(corrected) - len(plain)) < 0.01 * len(plain) + 64
    # A layer that stays in float keeps its bias.
    whole = Choice(bias_correction=True, float_layers=quantiser.layers)
    assert mean_angle(quantiser.embed(quantiser.quantise(whole, rows), asked), vectors[asked]) < 0.1


@pytest.mark.slow
def test_layers_that_share_a_bias_are_corrected_apart() -> None:
    source = biased_source()
    program = capture(source.module, source.example)
    content = litert.prepare(program, ConversionJob(source.describe(), 8, 8, {}, None)).content
    model = litert_file.parse(content)
    (graph,) = model.subgraphs
    first, second = [layer.name for layer in litert_bias.biased_layers(model)][:2]
    biased = {
        name.decode() if isinstance(name, bytes) else name: operator
        for operator in graph.operators
        for name in [graph.tensors[operator.outputs[0]].name]
    }
    biased[second].inputs = np.array([*biased[second].inputs[:2], biased[first].inputs[2]], np.int32)
    shared = litert_file.pack(model)
    before = biases(shared)
    after = biases(litert_bias.with_shifted_biases(shared, {first: np.full(12, 1.0), second: np.full(12, 2.0)}))
    assert np.array_equal(before[first], before[second])
    assert after[first] == pytest.approx(before[first] - 1)
    assert after[second] == pytest.approx(before[second] - 2)


def biases(content: bytes) -> dict[str, np.ndarray]:
    model = litert_file.parse(content)
    (graph,) = model.subgraphs
    return {
        graph.tensors[operator.outputs[0]].name.decode(): np.asarray(
            model.buffers[graph.tensors[operator.inputs[2]].buffer].data
        ).view(np.float32)
        for operator in graph.operators
        if litert_file.operator_name(model, operator) in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    }
