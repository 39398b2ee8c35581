"""Biases and weights of a TFLite file, for :mod:`export.precision.bias`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from export.formats.litert.file import operator_name, pack, parse
from export.precision.bias import dequantised

_WITH_BIAS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclass(frozen=True)
class BiasedLayer:
    """A layer with constant weights and a constant bias.

    Attributes:
        name: Name of its output.
        input: Name of its input.
        weights_name: Name of its weights.
        weights: Their values, in the file's order.
        depthwise: True if each output channel reads one input channel.
    """

    name: str
    input: str
    weights_name: str
    weights: NDArray[np.float32]
    depthwise: bool

    def channels_first(self, weights: NDArray[Any]) -> NDArray[Any]:
        """Return weights with the output channels first and the input channels of their group after them."""
        return np.moveaxis(weights, -1, 1) if not self.depthwise else np.moveaxis(weights, -1, 0)


def biased_layers(model: Any) -> list[BiasedLayer]:
    """Return every layer of a float32 file whose bias can be changed."""
    (graph,) = model.subgraphs
    layers: list[BiasedLayer] = []
    for operator in graph.operators:
        kind = operator_name(model, operator)
        if not _has_bias(model, operator):
            continue
        source, weights = (graph.tensors[place] for place in operator.inputs[:2])
        layers.append(
            BiasedLayer(
                name=_text(graph.tensors[operator.outputs[0]].name),
                input=_text(source.name),
                weights_name=_text(weights.name),
                weights=_values(model, weights, np.float32),
                depthwise=kind == "DEPTHWISE_CONV_2D",
            )
        )
    return layers


def with_shifted_biases(content: bytes, shifts: Mapping[str, Float64[np.ndarray, " _"]]) -> bytes:
    """Return the same file with shifts subtracted from its biases.

    Args:
        content: Content of a float32 file.
        shifts: Values to subtract, by the name of a layer's output.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = parse(content)
    (graph,) = model.subgraphs
    uses = Counter(int(place) for operator in graph.operators for place in operator.inputs)
    for place, operator in enumerate(graph.operators):
        name = _text(graph.tensors[operator.outputs[0]].name)
        if name not in shifts or not _has_bias(model, operator):
            continue
        bias = graph.tensors[operator.inputs[2]]
        corrected = (_values(model, bias, np.float32) - shifts[name]).astype(np.float32)
        if uses[int(operator.inputs[2])] > 1:
            # Layers may share a bias, but must not share its correction.
            bias = copy(bias)
            bias.name = f"bias {place}"
            operator.inputs = np.array([*operator.inputs[:2], len(graph.tensors)], np.int32)
            graph.tensors.append(bias)
        bias.buffer = len(model.buffers)
        model.buffers.append(schema.BufferT(data=corrected.view(np.uint8)))
    used_buffers = {tensor.buffer for tensor in graph.tensors} | {entry.buffer for entry in model.metadata or []}
    for index, buffer in enumerate(model.buffers):
        buffer.data = buffer.data if index in used_buffers else None
    return pack(model)


def int8_weights(model: Any) -> dict[str, Float64[np.ndarray, ...]]:
    """Return real values of every int8 constant, by name."""
    from ai_edge_litert import schema_py_generated as schema

    (graph,) = model.subgraphs
    return {
        _text(tensor.name): dequantised(
            _values(model, tensor, np.int8), tensor.quantization.scale, tensor.quantization.quantizedDimension
        )
        for tensor in graph.tensors
        if tensor.type == schema.TensorType.INT8 and model.buffers[tensor.buffer].data is not None
    }


def _has_bias(model: Any, operator: Any) -> bool:
    (graph,) = model.subgraphs
    if operator_name(model, operator) not in _WITH_BIAS or len(operator.inputs) != 3 or operator.inputs[2] < 0:
        return False
    return all(_is_float_constant(model, graph.tensors[place]) for place in operator.inputs[1:])


def _is_float_constant(model: Any, tensor: Any) -> bool:
    from ai_edge_litert import schema_py_generated as schema

    return tensor.type == schema.TensorType.FLOAT32 and model.buffers[tensor.buffer].data is not None


def _values(model: Any, tensor: Any, dtype: type[Any]) -> NDArray[Any]:
    data = np.asarray(model.buffers[tensor.buffer].data, np.uint8)
    return np.frombuffer(data.tobytes(), dtype).reshape(tensor.shape)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
