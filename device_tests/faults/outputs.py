"""Mistakes behind an ONNX graph's last layer, at its embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64

_SEED = 0


def rotation(dimension: int, degrees: float) -> Float64[np.ndarray, "d d"]:
    """Return an orthogonal matrix that turns every vector by an angle, in random planes.

    In an odd dimension one direction is fixed, and vectors along it turn less.
    """
    basis = np.linalg.qr(np.random.default_rng(_SEED).normal(size=(dimension, dimension)))[0]
    planes, angle = np.eye(dimension), np.radians(degrees)
    for first in range(0, dimension - 1, 2):
        block = slice(first, first + 2)
        planes[block, block] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return basis @ planes @ basis.T


def offset(vector: Float32[np.ndarray, " d"], share: float) -> Callable[[Any], None]:
    """Add one vector to every embedding, which is then normalised to length one again: an output's zero point is off.

    No embedding of length one turns by more than the angle whose sine is ``share``.
    """

    def edit(model: Any) -> None:
        from onnx import helper

        _constant(model, "offset", (share * vector / np.linalg.norm(vector))[None].astype(np.float32))
        _after_everything(
            model,
            lambda source, result: [
                helper.make_node("Add", [source, "fault_offset"], ["fault_moved"]),
                helper.make_node("LpNormalization", ["fault_moved"], [result], axis=-1, p=2),
            ],
        )

    return edit


def reverse_dimensions(model: Any) -> None:
    """Reverse the order of the embedding's numbers."""
    from onnx import helper

    _constant(model, "order", np.arange(_dimension(model))[::-1].copy())
    _after_everything(
        model, lambda source, result: [helper.make_node("Gather", [source, "fault_order"], [result], axis=1)]
    )


def leave_length(model: Any) -> None:
    """Return vectors three times as long, as if the last layer, which normalises them, were missing."""
    from onnx import helper

    _constant(model, "length", np.array(3.0, np.float32))
    _after_everything(model, lambda source, result: [helper.make_node("Mul", [source, "fault_length"], [result])])


def flatten(model: Any) -> None:
    """Return almost the same vector for every image: a twentieth of the embedding is added to a constant."""
    from onnx import helper

    _constant(model, "share", np.array(0.05, np.float32))
    _constant(model, "middle", _middle(model))
    _after_everything(
        model,
        lambda source, result: [
            helper.make_node("Mul", [source, "fault_share"], ["fault_little"]),
            helper.make_node("Add", ["fault_little", "fault_middle"], ["fault_moved"]),
            helper.make_node("LpNormalization", ["fault_moved"], [result], axis=-1, p=2),
        ],
    )


def collapse_below(grey: float) -> Callable[[Any], None]:
    """Return one vector for all images that are darker on average than a grey level, the right one for all others."""

    def edit(model: Any) -> None:
        from onnx import TensorProto, helper

        image = model.graph.input[0].name
        _constant(model, "grey", np.array(grey, np.float32))
        _constant(model, "sides", np.array([1, 2, 3]))
        _constant(model, "last", np.array([1]))
        _constant(model, "middle", _middle(model))
        _after_everything(
            model,
            lambda source, result: [
                helper.make_node("Cast", [image], ["fault_float"], to=TensorProto.FLOAT),
                helper.make_node("ReduceMean", ["fault_float", "fault_sides"], ["fault_means"], keepdims=0),
                helper.make_node("Unsqueeze", ["fault_means", "fault_last"], ["fault_column"]),
                helper.make_node("Less", ["fault_column", "fault_grey"], ["fault_dark"]),
                helper.make_node("Where", ["fault_dark", "fault_middle", source], [result]),
            ],
        )

    return edit


def _dimension(model: Any) -> int:
    return int(model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value)


def _middle(model: Any) -> np.ndarray:
    """Return a unit vector of equal numbers, as a row."""
    size = _dimension(model)
    return np.full((1, size), size**-0.5, np.float32)


def _constant(model: Any, name: str, value: np.ndarray) -> None:
    from onnx import numpy_helper

    model.graph.initializer.append(numpy_helper.from_array(value, f"fault_{name}"))


def _after_everything(model: Any, nodes: Callable[[str, str], Sequence[Any]]) -> None:
    """Put nodes between the source of the embedding and the graph's output."""
    result, source = model.graph.output[0].name, "fault_embedding"
    for node in model.graph.node:
        node.input[:] = [source if name == result else name for name in node.input]
        node.output[:] = [source if name == result else name for name in node.output]
    model.graph.node.extend(nodes(source, result))
