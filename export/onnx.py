"""ONNX, for ONNX Runtime on Android, iOS, the web and servers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from export.manifest import TensorEntry
from hetero.files import write_bytes
from hetero.models.model import EmbeddingModel

suffix = ".onnx"
packages = ("torch", "onnx", "onnxscript", "onnxruntime")

_OPSET = 20


def convert(model: EmbeddingModel, out: Path, metadata: Mapping[str, str]) -> None:
    """Write one self-contained file with a fixed batch of one."""
    import onnx
    import torch

    from export.converter import INPUT, OUTPUT

    image = torch.zeros((1, model.preprocessing.height, model.preprocessing.width, 3), dtype=torch.uint8)
    program: Any = torch.onnx.export(
        model.eval(),
        (image,),
        dynamo=True,
        opset_version=_OPSET,
        input_names=[INPUT],
        output_names=[OUTPUT],
        external_data=False,
        verbose=False,
    )
    proto: Any = program.model_proto
    _forget_origin(proto)
    proto.producer_name, proto.producer_version = "hetero", metadata["hetero.version"]
    onnx.helper.set_model_props(proto, dict(metadata))
    onnx.checker.check_model(proto, full_check=True)
    write_bytes(out, proto.SerializeToString(deterministic=True))


def read_metadata(path: Path) -> dict[str, str]:
    """The model's ``metadata_props`` that start with ``hetero.``."""
    import onnx

    props = onnx.load(path).metadata_props
    return {prop.key: prop.value for prop in props if prop.key.startswith("hetero.")}


def read_signature(path: Path) -> tuple[TensorEntry, TensorEntry]:
    """Input and output of the graph."""
    import onnx

    graph: Any = onnx.load(path).graph
    (taken,), (given,) = graph.input, graph.output
    return _entry(taken), _entry(given)


def run(path: Path, images: UInt8[np.ndarray, "n h w 3"]) -> Float32[np.ndarray, "n d"]:
    """Embed images one by one with ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (name,) = [taken.name for taken in session.get_inputs()]
    return np.concatenate([session.run(None, {name: image[None]})[0] for image in images])


def _entry(value: Any) -> TensorEntry:
    import onnx

    tensor = value.type.tensor_type
    kinds: dict[int, Any] = {onnx.TensorProto.UINT8: "uint8", onnx.TensorProto.FLOAT: "float32"}
    return TensorEntry(value.name, kinds[tensor.elem_type], tuple(side.dim_value for side in tensor.shape.dim))


def _forget_origin(proto: Any) -> None:
    # The exporter notes on every node which line of which file made it, with the path on the exporting machine.
    proto.doc_string = ""
    del proto.metadata_props[:]
    _clear([proto.graph, *proto.functions])
    for graph in (proto.graph, *proto.functions):
        _clear(graph.node)
        _clear(graph.value_info)
    _clear(proto.graph.input)
    _clear(proto.graph.output)
    _clear(proto.graph.initializer)


def _clear(items: Iterable[Any]) -> None:
    for item in items:
        item.doc_string = ""
        del item.metadata_props[:]
