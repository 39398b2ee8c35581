"""Cloud models of every form that a recipe takes, tiny."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import hetero

SIDE = 32
DIMENSION = 48
MACS = DIMENSION * DIMENSION


def network() -> nn.Module:
    """Sixteen places' colours, turned by a fixed matrix: the code that ``module:attribute`` names."""
    turned = nn.Linear(DIMENSION, DIMENSION, bias=False)
    with torch.no_grad():
        turned.weight.copy_(torch.eye(DIMENSION).roll(1, 0))
    return nn.Sequential(nn.AvgPool2d(SIDE // 4), nn.Flatten(), turned)


EMBEDDER = hetero.ModuleEmbedder(network(), hetero.Preprocessing(height=SIDE, width=SIDE), name="mine")


def write_onnx(path: Path, side: int | str = SIDE) -> Path:
    """Sixteen places' colours, of float images [b, 3, side, side]."""
    return _write(path, "AveragePool", side)


def brightest() -> nn.Module:
    """The brightest pixel of sixteen places, a choice that every runtime makes to the last bit."""
    return nn.Sequential(nn.MaxPool2d(SIDE // 4), nn.Flatten())


def write_brightest_onnx(path: Path) -> Path:
    """The same of float images [b, 3, side, side]."""
    return _write(path, "MaxPool", SIDE)


def _write(path: Path, pool: str, side: int | str) -> Path:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node(pool, ["images"], ["pooled"], kernel_shape=[SIDE // 4] * 2, strides=[SIDE // 4] * 2),
            helper.make_node("Flatten", ["pooled"], ["vectors"]),
        ],
        "colours",
        [helper.make_tensor_value_info("images", kind, ["b", 3, side, side])],
        [helper.make_tensor_value_info("vectors", kind, None)],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    return path
