"""ONNX, for ONNX Runtime on Android, iOS, the web and servers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from export.bundle.quantisation import Quantisation
from export.formats.converter import ConversionJob
from export.formats.onnx.compact import compact, name_output, name_plainly
from export.formats.onnx.int8 import quantised
from export.formats.onnx.one_piece import in_one_piece
from export.formats.onnx.rules import RULES
from export.formats.onnx.runtime import embed, parse
from export.kinds.interface import INPUT, OUTPUT, TensorEntry
from export.kinds.precision import Precision
from export.rewrites.operator_support import convertible, named_refusals
from hetero.files import write_bytes

_OPSET = 20
_GIVEN = "hetero.given"
"""The output's name during conversion: an operator, such as torch's ``embedding``, may already have the final one."""
_NO_HALF_KERNEL = {"ScatterElements", "ScatterND"}
"""Defined for float16, but ONNX Runtime's kernels do not add in it."""


@dataclass(frozen=True)
class Prepared:
    """The float32 graph.

    Attributes:
        proto: An ``onnx.ModelProto``.
        job: The converter's job.
    """

    proto: Any
    job: ConversionJob


def prepare(program: Any, job: ConversionJob) -> Prepared:
    """Convert to a float32 graph in one piece."""
    import torch

    with named_refusals(RULES):
        exported: Any = torch.onnx.export(
            convertible(program, RULES),
            dynamo=True,
            opset_version=_OPSET,
            input_names=[INPUT],
            output_names=[_GIVEN],
            external_data=False,
            verbose=False,
        )
    _register_constants(exported.model.graph)
    proto: Any = exported.model_proto
    _forget_origin(proto)
    name_plainly(proto)
    name_output(proto, _GIVEN, OUTPUT)
    return Prepared(proto, job)


def write(prepared: Prepared, precision: Precision, out: Path) -> Quantisation | None:
    """Write one self-contained file."""
    quantisation = None
    if precision == "fp32":
        proto = parse(prepared.proto.SerializeToString())
    elif precision == "fp16":
        proto = _half(prepared.proto)
    else:
        job = prepared.job
        content, quantisation = quantised(prepared.proto, job.required_calibration, job.goals[precision])
        proto = parse(content)
    write_bytes(out, _finished(proto, prepared.job))
    return quantisation


def read_metadata(path: Path) -> dict[str, str]:
    """Return the model's ``metadata_props`` that start with ``hetero.``."""
    import onnx

    props = onnx.load(path).metadata_props
    return {prop.key: prop.value for prop in props if prop.key.startswith("hetero.")}


def read_signature(path: Path) -> tuple[TensorEntry, TensorEntry]:
    """Return input and output of the graph."""
    import onnx

    graph: Any = onnx.load(path).graph
    (image,), (output,) = graph.input, graph.output
    return _entry(image), _entry(output)


def run(path: Path, images: UInt8[np.ndarray, "n h w 3"]) -> Float32[np.ndarray, "n d"]:
    """Embed images one by one with ONNX Runtime on the CPU."""
    return embed(path.read_bytes(), images)


def _register_constants(graph: Any) -> None:
    """Add the constants that the exporter forgets: bounds are named after their argument, so that two collide."""
    for value in [value for node in graph for value in node.inputs if value is not None]:
        if value.const_value is not None and value.producer() is None and not value.is_initializer():
            graph.register_initializer(value)


def _half(proto: Any) -> Any:
    """Convert weights and arithmetic to float16; input and output do not change."""
    import onnx_ir
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    blocked = [*DEFAULT_OP_BLOCK_LIST, *_without_half(proto)]
    copy = parse(proto.SerializeToString())
    half: Any = onnx_ir.from_proto(convert_float_to_float16(copy, keep_io_types=True, op_block_list=blocked))
    # Casts around operators that stay in float32 were put at the end.
    half.graph.sort()
    return onnx_ir.to_proto(half)


def _without_half(proto: Any) -> set[str]:
    """Return kinds of operators that are not defined for float16, or that ONNX Runtime does not compute in it."""
    import onnx

    version = next(one.version for one in proto.opset_import if one.domain in ("", "ai.onnx"))
    kinds = {node.op_type for node in proto.graph.node if node.domain in ("", "ai.onnx")}
    schemas = {kind: onnx.defs.get_schema(kind, version) for kind in kinds}
    return {kind for kind, schema in schemas.items() if _is_float_only(schema)} | _NO_HALF_KERNEL


def _is_float_only(schema: Any) -> bool:
    input_types = {formal.type_str for formal in schema.inputs}
    allowed = [set(one.allowed_type_strs) for one in schema.type_constraints if one.type_param_str in input_types]
    return any("tensor(float)" in types and "tensor(float16)" not in types for types in allowed)


def _finished(proto: Any, job: ConversionJob) -> bytes:
    import onnx

    proto.producer_name, proto.producer_version = "hetero", job.metadata["hetero.version"]
    onnx.helper.set_model_props(proto, dict(job.metadata))
    # After quantisation, which puts no pairs between the parts of one operator then.
    in_one_piece(proto)
    compact(proto)
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString(deterministic=True)


def _entry(value: Any) -> TensorEntry:
    import onnx

    tensor = value.type.tensor_type
    kinds: dict[int, Any] = {onnx.TensorProto.UINT8: "uint8", onnx.TensorProto.FLOAT: "float32"}
    # An open batch has a name instead of a value, and reads as zero.
    return TensorEntry(value.name, kinds[tensor.elem_type], tuple(side.dim_value for side in tensor.shape.dim))


def _forget_origin(proto: Any) -> None:
    # The exporter records on every node the line of code that made it, with its path on the exporting machine.
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
