"""A TFLite file as bytes: names, metadata, alignment, and a quantised output."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from export.formats.litert.compact import compact, sharing_builder
from hetero.files import canonical_json

_ENTRY = "hetero"
_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16


def parse(content: bytes) -> Any:
    """Return the file as an object tree (``schema.ModelT``), with every weight inside it.

    Raises:
        ValueError: If the file refers to weights that it does not contain.
    """
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    for buffer in model.buffers:
        if buffer.offset > 1 or buffer.size > 1:
            # The quantiser puts some weights behind the flatbuffer, at an offset from the beginning of the file.
            if buffer.offset + buffer.size > len(content):
                raise ValueError("the converter's file names weights beyond its own end")
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def pack(model: Any) -> bytes:
    """Return the bytes of an object tree."""
    buffers = model.buffers
    model.buffers = [_Aligned(buffer.data) for buffer in buffers]
    builder: Any = sharing_builder()(1 << 16)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    model.buffers = buffers
    return bytes(builder.Output())


def with_plain_names(content: bytes) -> bytes:
    """Number the tensors, and name computed ones after their operator: unique names, without long paths."""
    model = parse(content)
    (graph,) = model.subgraphs
    for place, tensor in enumerate(graph.tensors):
        tensor.name = f"t{place}"
    for place, operator in enumerate(graph.operators):
        for tensor in operator.outputs:
            graph.tensors[tensor].name = f"{place:03d} {operator_name(model, operator)}"
    return pack(model)


def operator_name(model: Any, operator: Any) -> str:
    """Return an operator's name, for instance ``CONV_2D``."""
    from ai_edge_litert import schema_py_generated as schema

    code = model.operatorCodes[operator.opcodeIndex]
    number = max(code.builtinCode, code.deprecatedBuiltinCode)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    return names[number]


def compacted(content: bytes) -> bytes:
    """Return the same file without duplicates and empty information."""
    model = parse(content)
    compact(model)
    return pack(model)


def with_byte_output(content: bytes, scale: float, zero_point: int) -> bytes:
    """Quantise the only output to uint8: ``value = scale * (byte - zero_point)``."""
    from ai_edge_litert import schema_py_generated as schema

    model = parse(content)
    (graph,) = model.subgraphs
    (output,) = graph.outputs
    code = schema.OperatorCodeT(
        deprecatedBuiltinCode=schema.BuiltinOperator.QUANTIZE, builtinCode=schema.BuiltinOperator.QUANTIZE, version=1
    )
    model.operatorCodes.append(code)
    tensor = schema.TensorT(
        name="quantised",
        shape=graph.tensors[output].shape,
        type=schema.TensorType.UINT8,
        buffer=0,
        quantization=schema.QuantizationParametersT(
            scale=np.array([scale], np.float32), zeroPoint=np.array([zero_point], np.int64)
        ),
    )
    graph.tensors.append(tensor)
    last = len(graph.tensors) - 1
    graph.operators.append(
        schema.OperatorT(
            opcodeIndex=len(model.operatorCodes) - 1,
            inputs=np.array([output], np.int32),
            outputs=np.array([last], np.int32),
            builtinOptionsType=schema.BuiltinOptions.QuantizeOptions,
            builtinOptions=schema.QuantizeOptionsT(),
        )
    )
    graph.outputs = np.array([last], np.int32)
    (signature,) = model.signatureDefs[0].outputs
    signature.tensorIndex = last
    return pack(model)


def described(content: bytes, metadata: Mapping[str, str], input_name: str, output_name: str) -> bytes:
    """Name input and output, and add the metadata as a buffer of its own."""
    from ai_edge_litert import schema_py_generated as schema

    model = parse(content)
    for tensors, name in ((model.signatureDefs[0].inputs, input_name), (model.signatureDefs[0].outputs, output_name)):
        (tensor,) = tensors
        tensor.name = name
        model.subgraphs[0].tensors[tensor.tensorIndex].name = name
    model.description = f"hetero {metadata['hetero.version']} {metadata['hetero.model']}"
    model.buffers.append(schema.BufferT(data=np.frombuffer(canonical_json(dict(metadata)).encode(), np.uint8)))
    model.metadata = [*(model.metadata or []), schema.MetadataT(name=_ENTRY, buffer=len(model.buffers) - 1)]
    compact(model)
    return pack(model)


def read_metadata(content: bytes) -> dict[str, str]:
    """Return the JSON in the model's metadata entry ``hetero``."""
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.Model.GetRootAs(content, 0)
    entries = [model.Metadata(index) for index in range(model.MetadataLength())]
    matches = [entry for entry in entries if entry.Name().decode() == _ENTRY]
    return json.loads(model.Buffers(matches[0].Buffer()).DataAsNumpy().tobytes()) if matches else {}


class _Aligned:
    """A buffer whose content is aligned to 16 bytes.

    The schema requires it (``force_align``), and the Python code generated from it ignores that.
    """

    def __init__(self, data: Any) -> None:
        self.data = None if data is None else np.asarray(data, np.uint8).tobytes()

    def Pack(self, builder: Any) -> int:  # noqa: N802
        """Write the buffer's table; called by the generated code."""
        from ai_edge_litert import schema_py_generated as schema

        vector = None
        if self.data is not None:
            builder.Prep(_ALIGNMENT, len(self.data))
            vector = builder.CreateByteVector(self.data)
        schema.BufferStart(builder)
        if vector is not None:
            schema.BufferAddData(builder, vector)
        return schema.BufferEnd(builder)
