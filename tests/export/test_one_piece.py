"""Operators that divide a graph, rewritten: the same values, in one partition on either provider."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from export.formats.onnx.accelerators import fits
from export.formats.onnx.one_piece import in_one_piece

BATCH, CHANNELS, SIDE = 1, 5, 4


def embedder() -> Any:
    """A network of the edge family in small: bytes, a gated map, the mean, the norm."""
    numbers = {"six": 6.0, "two": 2.0, "floor": 1e-12}
    constants = {name: np.array(value, np.float32) for name, value in numbers.items()}
    constants |= {"axes": np.array([2, 3]), "last": np.array([1])}
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["floats", "six"], ["map"]),
        helper.make_node("HardSigmoid", ["map"], ["gate"], alpha=1 / 6, beta=0.5),
        helper.make_node("Mul", ["map", "gate"], ["gated"]),
        helper.make_node("ReduceMean", ["gated", "axes"], ["raw"], keepdims=0),
        helper.make_node("Pow", ["raw", "two"], ["square"]),
        helper.make_node("ReduceSum", ["square", "last"], ["sum"], keepdims=1),
        helper.make_node("Clip", ["sum", "floor"], ["held"]),
        helper.make_node("Sqrt", ["held"], ["length"]),
        helper.make_node("Div", ["raw", "length"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "embedder",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [BATCH, SIDE, SIDE, CHANNELS])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [BATCH, CHANNELS])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: Any, image: np.ndarray) -> np.ndarray:
    session: Any = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image})[0]


def test_values_stay_and_each_provider_takes_one_piece(tmp_path: Path) -> None:
    plain, rewritten = embedder(), embedder()
    in_one_piece(rewritten)
    onnx.checker.check_model(rewritten, full_check=True)
    image = np.random.default_rng(0).integers(0, 256, (BATCH, SIDE, SIDE, CHANNELS), dtype=np.uint8)
    np.testing.assert_allclose(run(rewritten, image), run(plain, image), rtol=0, atol=2e-7)
    pieces: dict[str, list[int]] = {}
    for name, model in (("plain", plain), ("rewritten", rewritten)):
        onnx.save(model, tmp_path / f"{name}.onnx")
        pieces[name] = [fit.partitions for fit in fits(tmp_path / f"{name}.onnx")]
    assert pieces["plain"] == [1, 4]  # NNAPI: the transposition, up to the gate, up to the sum, the root
    assert pieces["rewritten"] == [1, 1]
    (coreml, nnapi) = fits(tmp_path / "rewritten.onnx")
    assert [one.operator for one in (*coreml.breakers, *nnapi.breakers)] == ["Cast", "Cast"]


def test_nothing_unused_is_left() -> None:
    model = embedder()
    in_one_piece(model)
    used = {name for node in model.graph.node for name in node.input}
    assert {constant.name for constant in model.graph.initializer} <= used


def one_operator(node: Any, constants: dict[str, np.ndarray], type: int = TensorProto.FLOAT) -> Any:
    graph = helper.make_graph(
        [node],
        "one",
        [helper.make_tensor_value_info("x", type, [2, 3])],
        [helper.make_tensor_value_info("y", type, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


SIX, HALF_SIX = np.array(6, np.float32), np.array(6, np.float16)
LEFT_ALONE = {
    "another hard sigmoid": one_operator(helper.make_node("HardSigmoid", ["x"], ["y"]), {}),
    "float16": one_operator(helper.make_node("Clip", ["x", "low"], ["y"]), {"low": HALF_SIX}, TensorProto.FLOAT16),
    "two bounds": one_operator(helper.make_node("Clip", ["x", "low", "high"], ["y"]), {"low": -SIX, "high": SIX}),
    "upper bound alone": one_operator(helper.make_node("Clip", ["x", "", "high"], ["y"]), {"high": SIX}),
    "another power": one_operator(helper.make_node("Pow", ["x", "three"], ["y"]), {"three": SIX / 2}),
    "sum over everything": one_operator(helper.make_node("ReduceSum", ["x"], ["y"]), {}),
    "hard swish": one_operator(helper.make_node("HardSwish", ["x"], ["y"]), {}),
}


@pytest.mark.parametrize("model", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_what_needs_no_rewrite_keeps_its_bytes(model: Any) -> None:
    before = model.SerializeToString()
    in_one_piece(model)
    assert model.SerializeToString() == before


def test_a_cast_that_others_read_too_stays() -> None:
    """The transposed bytes are read twice: exchanging would change what the second reader gets."""
    model = embedder()
    model.graph.node.insert(2, helper.make_node("Identity", ["planes"], ["again"]))
    in_one_piece(model)
    assert [node.op_type for node in model.graph.node][:3] == ["Transpose", "Cast", "Identity"]


def test_a_sum_over_an_axis_that_is_open_stays() -> None:
    for shape in ([2, "any"], None):
        model = one_operator(helper.make_node("ReduceSum", ["x", "axes"], ["y"]), {"axes": np.array([1])})
        model.graph.input[0].CopyFrom(helper.make_tensor_value_info("x", TensorProto.FLOAT, shape))
        in_one_piece(model)
        assert [node.op_type for node in model.graph.node] == ["ReduceSum"]


def test_the_sum_of_a_negative_axis() -> None:
    model = one_operator(helper.make_node("ReduceSum", ["x", "axes"], ["y"], keepdims=0), {"axes": np.array([-1])})
    in_one_piece(model)
    assert [node.op_type for node in model.graph.node] == ["ReduceMean", "Mul"]
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    np.testing.assert_allclose(run(model, x), [3, 12])
