"""The outputs of every operator of an ONNX file, by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from export.kinds.graph import Graph, GraphOperator, Values


def read_graph(path: Path) -> Graph:
    """Read an ONNX file."""
    import onnx
    import onnxruntime

    proto: Any = onnx.shape_inference.infer_shapes(onnx.load(path))
    kinds = {value.name: value.type.tensor_type.elem_type for value in [*proto.graph.value_info, *proto.graph.output]}
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16)
    operators = tuple(
        GraphOperator(output, node.op_type, tuple(name for name in node.input if name))
        for node in proto.graph.node
        for output in node.output
        if kinds.get(output) in floats
    )
    outputs = {output.name for output in proto.graph.output}
    types = {value.name: value for value in proto.graph.value_info}
    proto.graph.output.extend(types[one.name] for one in operators if one.name not in outputs)
    options = onnxruntime.SessionOptions()
    # Optimisation would fuse the operators to be examined.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session: Any = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    (input_name,) = [one.name for one in session.get_inputs()]
    rounded = _rounded(proto.graph.node)

    def run(images: UInt8[np.ndarray, "n h w 3"]) -> Iterator[Values]:
        for image in images:
            values = dict(zip(names, session.run(names, {input_name: image[None]}), strict=True))
            # The next operators read the value after its rounding, which also includes a ReLU left out.
            yield {
                name: np.asarray(values.get(rounded.get(name, name), value), np.float32)
                for name, value in values.items()
            }

    return Graph(operators, run)


def _rounded(nodes: Iterable[Any]) -> dict[str, str]:
    """Return the names of values after quantisation and back, by the names of the values."""
    quantised = {node.output[0]: node.input[0] for node in nodes if node.op_type == "QuantizeLinear"}
    back = [node for node in nodes if node.op_type == "DequantizeLinear" and node.input[0] in quantised]
    return {quantised[node.input[0]]: node.output[0] for node in back}
