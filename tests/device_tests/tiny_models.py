"""One linear embedding model written by hand as ONNX, TFLite and Core ML: real files without any converter."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HEIGHT, WIDTH, DIMENSION = 6, 6, 8
PIXELS = HEIGHT * WIDTH * 3


def weights(seed: int = 0) -> NDArray[np.float32]:
    """float32 [PIXELS, DIMENSION]."""
    return np.random.default_rng(seed).normal(size=(PIXELS, DIMENSION)).astype(np.float32)


def embed(images: NDArray[np.uint8], matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the model computes, in float64 inside: unit vectors float32 [n, DIMENSION]."""
    flat = images.reshape(len(images), -1).astype(np.float64) @ matrix.astype(np.float64)
    return (flat / np.linalg.norm(flat, axis=1, keepdims=True)).astype(np.float32)


def write_onnx(path: Path, matrix: NDArray[np.float32], space_id: str = "") -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["float", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["raw"]),
        helper.make_node("LpNormalization", ["raw"], ["embedding"], axis=-1, p=2),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, HEIGHT, WIDTH, 3])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, DIMENSION])],
        [numpy_helper.from_array(matrix, "weights"), numpy_helper.from_array(np.array([1, PIXELS]), "shape")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    if space_id:
        helper.set_model_props(model, {"hetero.space_id": space_id})
    onnx.save(model, str(path))


def write_litert(path: Path, matrix: NDArray[np.float32]) -> None:
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.TensorType
    model: Any = schema.ModelT()
    model.version = 3
    model.buffers = [_buffer(schema, None)]

    def tensor(name: str, shape: list[int], kind: int, data: NDArray[Any] | None = None) -> Any:
        made: Any = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, shape, kind, 0
        if data is not None:
            made.buffer = len(model.buffers)
            model.buffers.append(_buffer(schema, data))
        return made

    def operator(code: int, inputs: list[int], output: int) -> Any:
        made: Any = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = code, inputs, [output]
        return made

    graph: Any = schema.SubGraphT()
    graph.tensors = [
        tensor("image", [1, HEIGHT, WIDTH, 3], kinds.UINT8),
        tensor("float", [1, HEIGHT, WIDTH, 3], kinds.FLOAT32),
        tensor("flat", [1, PIXELS], kinds.FLOAT32),
        tensor("shape", [2], kinds.INT32, np.array([1, PIXELS], np.int32)),
        tensor("weights", [DIMENSION, PIXELS], kinds.FLOAT32, np.ascontiguousarray(matrix.T)),
        tensor("raw", [1, DIMENSION], kinds.FLOAT32),
        tensor("embedding", [1, DIMENSION], kinds.FLOAT32),
    ]
    dense = operator(2, [2, 4, -1], 5)
    dense.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    dense.builtinOptions = schema.FullyConnectedOptionsT()
    normal = operator(3, [5], 6)
    normal.builtinOptionsType = schema.BuiltinOptions.L2NormOptions
    normal.builtinOptions = schema.L2NormOptionsT()
    graph.operators = [operator(0, [0], 1), operator(1, [1, 3], 2), dense, normal]
    graph.inputs, graph.outputs = [0], [6]
    model.subgraphs = [graph]
    operators = schema.BuiltinOperator
    model.operatorCodes = [
        _code(schema, code)
        for code in (operators.CAST, operators.RESHAPE, operators.FULLY_CONNECTED, operators.L2_NORMALIZATION)
    ]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def write_coreml(package: Path, matrix: NDArray[np.float32], *, norm: str = "reduce_l2_norm") -> None:
    """An ``.mlpackage`` with an RGB image input; with another ``norm`` than the real one it is not known to anybody."""
    from device_tests.runtimes.coreml.messages import model_class

    model = model_class()()
    model.specificationVersion = 7
    image = model.description.input.add(name="image").type.imageType
    image.height, image.width, image.colorSpace = HEIGHT, WIDTH, 20
    given = model.description.output.add(name="embedding").type.multiArrayType
    given.shape.extend([1, DIMENSION])
    given.dataType = 65568
    model.mlProgram.version = 1
    function = model.mlProgram.functions["main"]
    function.opset = "CoreML6"
    _tensor(function.inputs.add(name="image").type, 11, (1, 3, HEIGHT, WIDTH))
    block = function.block_specializations["CoreML6"]
    block.outputs.append("embedding")

    def constant(name: str, kind: int, value: NDArray[Any]) -> None:
        made = block.operations.add(type="const")
        _tensor(made.outputs.add(name=name).type, kind, value.shape)
        held = made.attributes["val"]
        _tensor(held.type, kind, value.shape)
        if kind == 11:
            held.blobFileValue.fileName, held.blobFileValue.offset = "@model_path/weights/weight.bin", 64
        else:
            field = held.immediateValue.tensor.ints if kind == 23 else held.immediateValue.tensor.bools
            field.values.extend(value.reshape(-1).tolist())

    def operation(kind: str, name: str, sizes: tuple[int, ...], **arguments: str) -> None:
        made = block.operations.add(type=kind)
        _tensor(made.outputs.add(name=name).type, 11, sizes)
        for parameter, argument in arguments.items():
            made.inputs[parameter].arguments.add(name=argument)

    constant("order", 23, np.array([0, 2, 3, 1], np.int32))
    constant("flat_shape", 23, np.array([1, PIXELS], np.int32))
    constant("axes", 23, np.array([-1], np.int32))
    constant("keep", 1, np.array(True))
    constant("weights", 11, matrix)
    operation("transpose", "pixels", (1, HEIGHT, WIDTH, 3), x="image", perm="order")
    operation("reshape", "flat", (1, PIXELS), x="pixels", shape="flat_shape")
    operation("matmul", "raw", (1, DIMENSION), x="flat", y="weights")
    operation(norm, "length", (1, 1), x="raw", axes="axes", keep_dims="keep")
    operation("real_div", "embedding", (1, DIMENSION), x="raw", y="length")
    folder = package / "Data" / "com.apple.CoreML"
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    (folder / "model.mlmodel").write_bytes(model.SerializeToString(deterministic=True))
    data = matrix.tobytes()
    record = struct.pack("<IIQQQ32x", 0xDEADBEEF, 2, len(data), 128, 0)
    (folder / "weights" / "weight.bin").write_bytes(struct.pack("<II56x", 1, 2) + record + data)
    entries = {"model": "com.apple.CoreML/model.mlmodel", "weights": "com.apple.CoreML/weights"}
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": {
            key: {"author": "com.apple.CoreML", "description": key, "name": key, "path": path}
            for key, path in entries.items()
        },
        "rootModelIdentifier": "model",
    }
    (package / "Manifest.json").write_text(json.dumps(manifest))


def _tensor(value_type: Any, kind: int, shape: tuple[int, ...]) -> None:
    value_type.tensorType.dataType, value_type.tensorType.rank = kind, len(shape)
    for size in shape:
        value_type.tensorType.dimensions.add().constant.size = size


def _buffer(schema: Any, data: NDArray[Any] | None) -> Any:
    made = schema.BufferT()
    made.data = None if data is None else np.frombuffer(data.tobytes(), np.uint8)
    return made


def _code(schema: Any, builtin: int) -> Any:
    made = schema.OperatorCodeT()
    made.deprecatedBuiltinCode, made.builtinCode, made.version = min(builtin, 127), builtin, 1
    return made
