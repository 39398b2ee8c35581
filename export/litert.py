"""LiteRT (TFLite), for Android and embedded Linux."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from export.manifest import TensorEntry
from hetero.files import canonical_json, write_bytes
from hetero.models.model import EmbeddingModel

suffix = ".tflite"
packages = ("torch", "litert_torch", "ai_edge_litert")

_ENTRY = "hetero"
_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16


def convert(model: EmbeddingModel, out: Path, metadata: Mapping[str, str]) -> None:
    """Write one file with a fixed batch of one: a batch left open does not lower."""
    import litert_torch
    import torch

    image = torch.zeros((1, model.preprocessing.height, model.preprocessing.width, 3), dtype=torch.uint8)
    converted: Any = litert_torch.convert(model.eval(), (image,))
    write_bytes(out, _described(converted.model_content(), metadata))


def read_metadata(path: Path) -> dict[str, str]:
    """The JSON in the model's metadata entry ``hetero``."""
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.Model.GetRootAs(path.read_bytes(), 0)
    entries = [model.Metadata(index) for index in range(model.MetadataLength())]
    found = [entry for entry in entries if entry.Name().decode() == _ENTRY]
    return json.loads(model.Buffers(found[0].Buffer()).DataAsNumpy().tobytes()) if found else {}


def read_signature(path: Path) -> tuple[TensorEntry, TensorEntry]:
    """Input and output of the only signature."""
    runner, taken, given = _signature(path)
    entries = [
        _entry(name, runner_details[name])
        for name, runner_details in ((taken, runner.get_input_details()), (given, runner.get_output_details()))
    ]
    return entries[0], entries[1]


def run(path: Path, images: UInt8[np.ndarray, "n h w 3"]) -> Float32[np.ndarray, "n d"]:
    """Embed images one by one with LiteRT's interpreter on the CPU."""
    runner, taken, given = _signature(path)
    # The interpreter reuses its output buffer.
    return np.concatenate([np.array(runner(**{taken: image[None]})[given]) for image in images])


def _signature(path: Path) -> tuple[Any, str, str]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter: Any = Interpreter(model_path=str(path), num_threads=1)
    ((key, names),) = interpreter.get_signature_list().items()
    (taken,), (given,) = names["inputs"], names["outputs"]
    return interpreter.get_signature_runner(key), taken, given


def _entry(name: str, details: Any) -> TensorEntry:
    kinds: dict[str, Any] = {"uint8": "uint8", "float32": "float32"}
    return TensorEntry(name, kinds[np.dtype(details["dtype"]).name], tuple(int(side) for side in details["shape"]))


def _described(content: bytes, metadata: Mapping[str, str]) -> bytes:
    """Name input and output, and add the metadata as a buffer of its own."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    from export.converter import INPUT, OUTPUT

    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    if any(buffer.offset or buffer.size for buffer in model.buffers):
        # Only models beyond 2 GB keep their weights outside the flatbuffer.
        raise ValueError("the converter wrote a model with weights outside the flatbuffer; it is too large to export")
    for tensors, name in ((model.signatureDefs[0].inputs, INPUT), (model.signatureDefs[0].outputs, OUTPUT)):
        (tensor,) = tensors
        tensor.name = name
        model.subgraphs[0].tensors[tensor.tensorIndex].name = name
    model.description = f"hetero {metadata['hetero.version']} {metadata['hetero.model']}"
    model.buffers.append(schema.BufferT(data=np.frombuffer(canonical_json(dict(metadata)).encode(), np.uint8)))
    model.metadata = [*(model.metadata or []), schema.MetadataT(name=_ENTRY, buffer=len(model.buffers) - 1)]
    model.buffers = [_Aligned(buffer.data) for buffer in model.buffers]
    builder: Any = flatbuffers.Builder(len(content) + (1 << 16))
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


class _Aligned:
    """A buffer whose content lies on a 16-byte boundary.

    The schema asks for it (``force_align``), and the Python code generated from it forgets it.
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
