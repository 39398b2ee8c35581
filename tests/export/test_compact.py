"""Small files compute what large ones do, bit by bit, and keep the names that others rely on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from device_tests.runtimes.coreml import load
from export.formats.coreml.compact import compact as compact_coreml
from export.formats.coreml.convert import read_specification
from export.formats.coreml.weights import FILE
from export.formats.litert import convert as litert
from export.formats.litert import file as litert_file
from export.formats.litert.compact import compact as compact_litert
from export.formats.onnx import compact as onnx_compact
from export.formats.onnx import convert as onnx_format
from tests.device_tests.tiny_models import HEIGHT, WIDTH, weights, write_coreml, write_litert

SIDE = 8


def pictures(height: int = SIDE, width: int = SIDE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, height, width, 3), dtype=np.uint8)


def chain() -> Any:
    """Two convolutions between quantise/dequantise pairs, written as exporters write: every default, every name."""
    rng = np.random.default_rng(0)
    pair = {"scale": np.float32(0.05), "zero": np.int8(3), "scale_again": np.float32(0.05), "zero_again": np.int8(3)}
    first, second = rng.normal(size=(4, 3, 3, 3)), rng.normal(size=(4, 4, 1, 1))
    constants: dict[str, np.ndarray] = {
        **{name: np.asarray(value) for name, value in pair.items()},
        "backbone.0.weight": first.astype(np.float32),
        "backbone.1.weight": second.astype(np.float32),
        "axes": np.array([2, 3]),
    }
    windows: Any = {"dilations": [1, 1], "group": 1, "auto_pad": "NOTSET"}
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("QuantizeLinear", ["floats", "scale", "zero"], ["floats_QuantizeLinear_Output"], axis=1),
        helper.make_node(
            "DequantizeLinear", ["floats_QuantizeLinear_Output", "scale_again", "zero_again"], ["floats_back"]
        ),
        helper.make_node("Conv", ["floats_back", "backbone.0.weight"], ["a"], strides=[2, 2], pads=[1] * 4, **windows),
        helper.make_node("Conv", ["a", "backbone.1.weight"], ["b"], strides=[1, 1], pads=[0] * 4, **windows),
        helper.make_node("ReduceMean", ["b", "axes"], ["embedding"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "chain",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
        value_info=[helper.make_tensor_value_info("a", TensorProto.FLOAT, [1, 4, 4, 4])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_onnx_computes_the_same_in_fewer_bytes() -> None:
    model = chain()
    onnx_compact.name_plainly(model)
    before = model.SerializeToString()
    onnx_compact.compact(model)
    onnx.checker.check_model(model, full_check=True)
    after = model.SerializeToString()
    assert np.array_equal(onnx_format.embed(after, pictures()), onnx_format.embed(before, pictures()))
    assert len(after) < 0.75 * len(before)
    graph = model.graph
    assert [one.name for one in (*graph.input, *graph.output)] == ["image", "embedding"]
    # What the float32 graph computes keeps its name; equal scales and zero points stand there once.
    assert [node.output[0] for node in graph.node if node.op_type == "Conv"] == ["Conv_4", "Conv_5"]
    assert len(graph.initializer) == 5
    assert max(len(one.name) for one in graph.initializer) == 1
    # Strides of one, no padding and the like are what a convolution does anyway.
    assert [{one.name for one in node.attribute} for node in graph.node if node.op_type == "Conv"] == [
        {"strides", "pads"},
        set(),
    ]
    again = model.SerializeToString()
    onnx_compact.compact(model)
    assert model.SerializeToString() == again


@pytest.mark.parametrize("equal_weights", [False, True])
def test_onnx_layers_keep_weights_and_zero_points_of_their_own(equal_weights: bool) -> None:
    """Shared ones make ONNX Runtime refuse the file where it turns int8 into uint8: on x86 without VNNI, say."""
    rng = np.random.default_rng(1)
    constants = {"s": np.array(0.05, np.float32), "z": np.array(0, np.int8), "axes": np.array([2, 3])}
    nodes = [
        helper.make_node("Transpose", ["image"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["planes"], ["x0"], to=TensorProto.FLOAT),
    ]
    for place in range(3):
        weight, scale, zero = (f"{kind}{place}" for kind in ("w", "ws", "wz"))
        drawn = rng.integers(-127, 128, (3, 3, 1, 1), dtype=np.int8)
        constants[weight] = constants["w0"] if place and equal_weights else drawn
        constants[scale], constants[zero] = np.array(0.01, np.float32), np.array(0, np.int8)
        nodes += [
            helper.make_node("QuantizeLinear", [f"x{place}", "s", "z"], [f"q{place}"]),
            helper.make_node("DequantizeLinear", [f"q{place}", "s", "z"], [f"d{place}"]),
            helper.make_node("DequantizeLinear", [weight, scale, zero], [f"wd{place}"]),
            helper.make_node("Conv", [f"d{place}", f"wd{place}"], [f"x{place + 1}"]),
        ]
    nodes += [
        helper.make_node("QuantizeLinear", ["x3", "s", "z"], ["q3"]),
        helper.make_node("DequantizeLinear", ["q3", "s", "z"], ["d3"]),
        helper.make_node("ReduceMean", ["d3", "axes"], ["embedding"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "int8",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, 3])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    before = onnx_format.embed(model.SerializeToString(), pictures(), exact=True)
    onnx_compact.compact(model)
    weights_back = [node for node in model.graph.node if node.op_type == "DequantizeLinear" and len(node.input) == 3]
    int8 = {one.name for one in model.graph.initializer if tuple(one.dims)}
    layers = [node for node in weights_back if node.input[0] in int8]
    assert [len({node.input[place] for node in layers}) for place in (0, 2)] == [3, 3]
    for exact in (True, False):
        assert np.allclose(onnx_format.embed(model.SerializeToString(), pictures(), exact=exact), before, atol=0.05)


def test_onnx_names_that_a_branch_sees_stay() -> None:
    model = chain()
    then = helper.make_graph(
        [helper.make_node("Identity", ["b"], ["t"])], "then", [], [helper.make_empty_tensor_value_info("t")]
    )
    other = helper.make_graph(
        [helper.make_node("Neg", ["b"], ["o"])], "else", [], [helper.make_empty_tensor_value_info("o")]
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.insert(6, helper.make_node("If", ["yes"], ["c"], then_branch=then, else_branch=other))
    model.graph.node[7].input[0] = "c"
    before = onnx_format.embed(model.SerializeToString(), pictures())
    onnx_compact.name_plainly(model)
    onnx_compact.compact(model)
    assert model.graph.node[5].output[0] == "b"
    assert np.array_equal(onnx_format.embed(model.SerializeToString(), pictures()), before)


def test_litert_writes_equal_things_once(tmp_path: Path) -> None:
    from ai_edge_litert import schema_py_generated as schema

    write_litert(tmp_path / "model.tflite", weights())
    content = (tmp_path / "model.tflite").read_bytes()
    model = litert_file.parse(content)
    (graph,) = model.subgraphs
    for tensor in graph.tensors:
        # As converters do: parameters without a number, and an empty buffer for each value.
        tensor.quantization = schema.QuantizationParametersT()
        if not tensor.buffer:
            model.buffers.append(schema.BufferT())
            tensor.buffer = len(model.buffers) - 1
    channels = schema.QuantizationParametersT(
        scale=np.full(500, 0.5, np.float32), zeroPoint=np.zeros(500, np.int64), quantizedDimension=0
    )
    unused = [
        schema.TensorT(name=f"unused {place}", shape=np.array([500], np.int32), buffer=0, quantization=channels)
        for place in range(4)
    ]
    graph.tensors.extend(unused)
    before = litert_file.pack(model)
    compact_litert(model)
    after = litert_file.pack(model)
    # Four times 500 scales of 4 bytes and zero points of 8 are one of each, in both files; tables only in the second.
    assert len(after) < len(before) < len(content) + 500 * 12 + 3000
    read = litert_file.parse(after)
    assert len(read.buffers) < len(litert_file.parse(before).buffers)
    assert all(len(tensor.quantization.zeroPoint) == 500 for tensor in read.subgraphs[0].tensors[-4:])
    assert all(tensor.quantization is None for tensor in read.subgraphs[0].tensors[:-4])
    images = pictures(HEIGHT, WIDTH)
    assert np.array_equal(litert.embed(after, images), litert.embed(content, images))


def test_coreml_computes_the_same_with_short_names(tmp_path: Path) -> None:
    package = tmp_path / "model.mlpackage"
    write_coreml(package, weights())
    images = {"image": pictures(HEIGHT, WIDTH)}
    before = load(package).predict(images)["embedding"]
    specification = read_specification(package)
    (block,) = specification.mlProgram.functions["main"].block_specializations.values()
    constant = next(operation for operation in block.operations if operation.type == "const")
    for place in range(3):
        twin = type(constant).FromString(constant.SerializeToString())
        twin.outputs[0].name = f"an_option_of_some_operator_{place}"
        block.operations.insert(1, twin)
    count = len(block.operations)
    file = package / FILE
    file.write_bytes(compact_coreml(specification, file.read_bytes()))
    assert len(block.operations) <= count - 3
    (output,) = block.outputs
    names = [output.name for operation in block.operations for output in operation.outputs]
    assert len({*names}) == len(names)
    assert output == specification.description.output[0].name == names[-1]
    assert not any(name.startswith("an_option") for name in names)
    (package / "Data/com.apple.CoreML/model.mlmodel").write_bytes(specification.SerializeToString(deterministic=True))
    assert np.array_equal(load(package).predict(images)["embedding"], before)


@pytest.mark.parametrize("name", ["compact", "name_plainly"])
def test_onnx_functions_are_left_alone(name: str) -> None:
    model = chain()
    model.functions.append(helper.make_function("own", "Twice", ["x"], ["y"], [], [helper.make_opsetid("", 20)]))
    before = [[*node.input, *node.output] for node in model.graph.node]
    getattr(onnx_compact, name)(model)
    assert [[*node.input, *node.output] for node in model.graph.node] == before
