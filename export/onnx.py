"""ONNX, for ONNX Runtime on Android, iOS, the web and servers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from export.converter import INPUT, OUTPUT, Job
from export.manifest import Precision, Quantisation, TensorEntry
from export.onnx_compact import compact, name_plainly
from hetero.files import write_bytes

suffix = ".onnx"
packages = ("torch", "onnx", "onnxscript", "onnxruntime")

_OPSET = 20


@dataclass(frozen=True)
class Prepared:
    """The float32 graph.

    Attributes:
        proto: An ``onnx.ModelProto``.
        job: What was asked for.
    """

    proto: Any
    job: Job


def prepare(program: Any, job: Job) -> Prepared:
    """Convert to a float32 graph in one piece."""
    import torch

    exported: Any = torch.onnx.export(
        program,
        dynamo=True,
        opset_version=_OPSET,
        input_names=[INPUT],
        output_names=[OUTPUT],
        external_data=False,
        verbose=False,
    )
    proto: Any = exported.model_proto
    _forget_origin(proto)
    name_plainly(proto)
    return Prepared(proto, job)


def write(prepared: Prepared, precision: Precision, out: Path) -> Quantisation | None:
    """Write one self-contained file."""
    quantisation = None
    if precision == "fp32":
        proto = parse(prepared.proto.SerializeToString())
    elif precision == "fp16":
        proto = _half(prepared.proto)
    else:
        from export.onnx_int8 import quantised

        job = prepared.job
        content, quantisation = quantised(prepared.proto, job.required_calibration, job.goals[precision])
        proto = parse(content)
    write_bytes(out, _finished(proto, prepared.job))
    return quantisation


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
    return embed(path.read_bytes(), images)


def embed(content: bytes, images: UInt8[np.ndarray, "n h w 3"], *, exact: bool = False) -> Float32[np.ndarray, "n d"]:
    """Embed images one by one with a model in memory.

    Args:
        content: Of the file.
        images: To embed.
        exact: Whether int8 sums keep all bits, as on a phone. x86 processors without VNNI cut them off otherwise.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    if exact:
        options.add_session_config_entry("session.x64quantprecision", "1")
    session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (name,) = [taken.name for taken in session.get_inputs()]
    return np.concatenate([session.run(None, {name: image[None]})[0] for image in images])


def _half(proto: Any) -> Any:
    """Weights and arithmetic in float16; input and output stay as they are."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    return convert_float_to_float16(parse(proto.SerializeToString()), keep_io_types=True)


def parse(content: bytes) -> Any:
    """An ``onnx.ModelProto``."""
    import onnx

    return onnx.load_from_string(content)


def _finished(proto: Any, job: Job) -> bytes:
    import onnx

    proto.producer_name, proto.producer_version = "hetero", job.metadata["hetero.version"]
    onnx.helper.set_model_props(proto, dict(job.metadata))
    compact(proto)
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString(deterministic=True)


def _entry(value: Any) -> TensorEntry:
    import onnx

    tensor = value.type.tensor_type
    kinds: dict[int, Any] = {onnx.TensorProto.UINT8: "uint8", onnx.TensorProto.FLOAT: "float32"}
    # An open batch has a name instead of a value, which then reads as zero.
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
