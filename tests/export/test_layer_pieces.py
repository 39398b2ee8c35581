"""A layer's own part in dividing a network; that the parts add up is held against a whole network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from export.capture.program import capture
from export.formats.converter import ConversionJob, load_converter
from export.formats.onnx.accelerators import fits
from export.layer_pieces import further_pieces
from hetero.models.config import ModelConfig, Stage
from hetero.models.model import EmbeddingModel
from hetero.nas.cost.layers import Layer, layers_of
from hetero.preprocessing import Preprocessing

SHAPE = Preprocessing(height=16, width=16)


def block(activation: str) -> Layer:
    stage = Stage(channels=8, squeeze_excite=True, activation=activation)  # pyright: ignore[reportArgumentType]
    return Layer("inverted_residual", 8, 8, 4, 4, stage=stage)


def test_activations_divide_for_nnapi_and_gates_do_not() -> None:
    assert further_pieces(block("relu"), "nnapi") == 0
    assert further_pieces(block("hardswish"), "nnapi") == 2  # behind the expansion and behind the filter
    assert further_pieces(block("hardswish"), "coreml-ep") == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["inverted_residual", "shuffle"])
def test_the_parts_add_up_to_a_whole_network(tmp_path: Path, kind: str) -> None:
    stages = (Stage(channels=8, stride=2, block=kind), Stage(channels=16, squeeze_excite=True, depth=2, block=kind))
    config = ModelConfig(dimension=8, stem_channels=8, stages=stages)
    model = EmbeddingModel("whole", config, SHAPE).eval()
    converter = load_converter("onnx")
    job = ConversionJob({"hetero.model": "whole", "hetero.version": "0"}, 16, 16, goals={}, calibration=None)
    program = capture(model, torch.zeros((1, 16, 16, 3), dtype=torch.uint8))
    converter.write(converter.prepare(program, job), "fp32", tmp_path / "whole.onnx")
    for fit in fits(tmp_path / "whole.onnx"):
        parts = [further_pieces(layer, fit.accelerator) for layer in layers_of(config, SHAPE)]
        assert fit.partitions == 1 + sum(parts)
