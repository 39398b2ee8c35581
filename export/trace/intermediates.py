"""What every operator of an exported file gives on some images, by the runtime of its format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from export.bundle.manifest import Format

Values = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Operator:
    """One operator of a graph.

    Attributes:
        name: Of what it gives; the same in the float32 file and in those made from it.
        kind: For instance ``Conv``.
        inputs: Names of the computed tensors that it reads.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """A file with its intermediate values.

    Attributes:
        operators: In the order of computation.
        run: Values by name, for one image after another; quantised ones as the numbers that they stand for.
    """

    operators: tuple[Operator, ...]
    run: Callable[[UInt8[np.ndarray, "n h w 3"]], Iterator[Values]]


def onnx_graph(path: Path) -> Graph:
    """An ONNX file."""
    import onnx
    import onnxruntime

    proto: Any = onnx.shape_inference.infer_shapes(onnx.load(path))
    kinds = {value.name: value.type.tensor_type.elem_type for value in [*proto.graph.value_info, *proto.graph.output]}
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    operators = tuple(
        Operator(output, node.op_type, tuple(name for name in node.input if name))
        for node in proto.graph.node
        for output in node.output
        if kinds.get(output) in floats
    )
    given = {output.name for output in proto.graph.output}
    types = {value.name: value for value in proto.graph.value_info}
    proto.graph.output.extend(types[one.name] for one in operators if one.name not in given)
    options = onnxruntime.SessionOptions()
    # Optimisation would fuse operators away that are asked about.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session: Any = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    (taken,) = [one.name for one in session.get_inputs()]
    rounded = _rounded(proto.graph.node)

    def run(images: UInt8[np.ndarray, "n h w 3"]) -> Iterator[Values]:
        for image in images:
            values = dict(zip(names, session.run(names, {taken: image[None]}), strict=True))
            # What the next operators read is the value after its rounding, which also stands for a ReLU left out.
            yield {
                name: np.asarray(values.get(rounded.get(name, name), value), np.float32)
                for name, value in values.items()
            }

    return Graph(operators, run)


def litert_graph(path: Path) -> Graph:
    """A TFLite file."""
    from export.formats.litert.convert import interpreter

    loaded = interpreter(path.read_bytes(), experimental_preserve_all_tensors=True)
    loaded.allocate_tensors()
    tensors = {one["index"]: one for one in loaded.get_tensor_details()}
    operators = tuple(
        Operator(tensors[output]["name"], one["op_name"], _names(one["inputs"], tensors))
        for one in loaded._get_ops_details()
        for output in one["outputs"]
        if output in tensors
    )
    # A delegate lists what it computes once more, as its own.
    operators = tuple({one.name: one for one in reversed(operators)}.values())[::-1]
    watched = {one.name for one in operators}
    details = [one for one in tensors.values() if one["name"] in watched]
    (taken,) = loaded.get_input_details()

    def run(images: UInt8[np.ndarray, "n h w 3"]) -> Iterator[Values]:
        for image in images:
            loaded.set_tensor(taken["index"], image[None])
            loaded.invoke()
            yield {one["name"]: _number(loaded.get_tensor(one["index"]), one) for one in details}

    return Graph(operators, run)


GRAPHS: Mapping[Format, Callable[[Path], Graph]] = {"onnx": onnx_graph, "litert": litert_graph}
"""Formats whose runtime on this machine gives intermediate values; Core ML's does not exist here."""


def _rounded(nodes: Iterable[Any]) -> dict[str, str]:
    """What a value is called after it was quantised and back, by the name of the value."""
    quantised = {node.output[0]: node.input[0] for node in nodes if node.op_type == "QuantizeLinear"}
    back = [node for node in nodes if node.op_type == "DequantizeLinear" and node.input[0] in quantised]
    return {quantised[node.input[0]]: node.output[0] for node in back}


def _names(indices: Iterable[int], tensors: Mapping[int, Any]) -> tuple[str, ...]:
    return tuple(tensors[index]["name"] for index in indices if index in tensors)


def _number(value: NDArray[Any], details: Mapping[str, Any]) -> NDArray[np.float32]:
    scale, zero_point = details["quantization"]
    return np.float32(scale) * (value.astype(np.float32) - zero_point) if scale else value.astype(np.float32)
