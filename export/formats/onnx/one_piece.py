"""Operators that divide a graph between processor and accelerator, as others that ONNX Runtime's providers take.

NNAPI's provider knows no hard sigmoid and no sum, of clipping only ReLU6 and ReLU1, and no byte but in a transposition;
Core ML's takes powers in float32 alone. The values stay what they were up to rounding. Hard-swish is left as it is:
written out it makes a whole network slower on the processor, by more than half.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.formats.onnx.compact import reaches_inside


def in_one_piece(proto: Any) -> None:
    """Rewrite a graph in place.

    It stays as it is if it has none of these operators, branches or loops, or values whose types contradict each other.
    """
    import onnx

    if reaches_inside(proto):
        return
    try:
        graph = _Graph(proto)
    except onnx.shape_inference.InferenceError:
        return
    nodes = _image_as_numbers_first([*proto.graph.node], graph)
    del proto.graph.node[:]
    for node in nodes:
        rewrite = _REWRITES.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        proto.graph.node.extend((rewrite(node, graph) if rewrite else None) or [node])
    still = {name for node in proto.graph.node for name in node.input}
    kept = [
        constant for constant in proto.graph.initializer if constant.name in still or constant.name not in graph.uses
    ]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)


class _Graph:
    """The graph's constants and types, and new constants.

    Attributes:
        constants: Values of constants by name.
        uses: Number of operators that read a value.
    """

    def __init__(self, proto: Any) -> None:
        import onnx

        self._proto = proto
        self.constants: dict[str, NDArray[Any]] = {
            constant.name: onnx.numpy_helper.to_array(constant) for constant in proto.graph.initializer
        }
        inferred = onnx.shape_inference.infer_shapes(proto).graph
        self._values = {
            value.name: value.type.tensor_type for value in (*inferred.input, *inferred.value_info, *inferred.output)
        }
        self.uses = Counter(name for node in proto.graph.node for name in node.input)

    def holds(self, name: str, type: int) -> bool:
        """Return True if a value is known to have this type, a number of ``onnx.TensorProto.DataType``."""
        return name in self._values and self._values[name].elem_type == type

    def is_float32(self, name: str) -> bool:
        import onnx

        return self.holds(name, onnx.TensorProto.FLOAT)

    def sides(self, name: str) -> list[int]:
        """Return the size of each axis, 0 for an open one; nothing if not even their number is known."""
        return [side.dim_value for side in self._values[name].shape.dim]

    def number(self, value: float) -> str:
        """Return the name of a float32 constant, which is added."""
        import onnx

        name = f"number.{value!r}"
        if name not in self.constants:
            self.constants[name] = np.array(value, np.float32)
            self._proto.graph.initializer.append(onnx.numpy_helper.from_array(self.constants[name], name))
        return name


def _image_as_numbers_first(nodes: list[Any], graph: _Graph) -> list[Any]:
    """Exchange a transposition of bytes and the cast behind it: no accelerator casts bytes, all take what follows."""
    import onnx

    for place, (turn, cast) in enumerate(itertools.pairwise([*nodes])):
        between = turn.output[0]
        if turn.op_type != "Transpose" or cast.op_type != "Cast" or cast.input[0] != between:
            continue
        if graph.uses[between] == 1 and graph.holds(turn.input[0], onnx.TensorProto.UINT8):
            first = onnx.helper.make_node("Cast", [turn.input[0]], [between], cast.name, to=_target(cast))
            second = onnx.helper.make_node("Transpose", [between], [cast.output[0]], turn.name)
            second.attribute.extend(turn.attribute)
            nodes[place : place + 2] = [first, second]
    return nodes


def _target(cast: Any) -> int:
    return next(attribute.i for attribute in cast.attribute if attribute.name == "to")


def _hard_sigmoid(node: Any, graph: _Graph) -> list[Any] | None:
    """Clip six times the line between 0 and 6, as torch defines it: ``relu6(x + 3) / 6``."""
    import onnx

    line = {"alpha": 0.2, "beta": 0.5} | {attribute.name: attribute.f for attribute in node.attribute}
    is_torchs = np.allclose([line["alpha"], line["beta"]], [1 / 6, 0.5], rtol=1e-6)
    if not (is_torchs and graph.is_float32(node.output[0])):
        return None
    (x,), (y,) = node.input, node.output
    make = onnx.helper.make_node
    return [
        make("Add", [x, graph.number(3.0)], [f"{y}.a"]),
        make("Clip", [f"{y}.a", graph.number(0.0), graph.number(6.0)], [f"{y}.b"]),
        make("Mul", [f"{y}.b", graph.number(1 / 6)], [y], node.name),
    ]


def _sum(node: Any, graph: _Graph) -> list[Any] | None:
    """Multiply the mean by the number of summands, if that is known."""
    import onnx

    axes = graph.constants.get(node.input[1]) if len(node.input) > 1 else None
    if axes is None or not axes.size or not graph.is_float32(node.output[0]) or not graph.is_float32(node.input[0]):
        return None
    sides = graph.sides(node.input[0])
    count = int(np.prod([sides[axis] for axis in axes])) if sides else 0
    if not count:
        return None
    (y,) = node.output
    mean = onnx.helper.make_node("ReduceMean", list(node.input), [f"{y}.a"])
    mean.attribute.extend(node.attribute)
    return [mean, onnx.helper.make_node("Mul", [f"{y}.a", graph.number(float(count))], [y], node.name)]


def _floor(node: Any, graph: _Graph) -> list[Any] | None:
    """Take the larger of a value and the lower bound, where there is no upper one."""
    import onnx

    bounds = [*node.input[1:], "", ""][:2]
    largest = graph.constants.get(bounds[1])
    has_upper = bool(bounds[1]) and (largest is None or float(largest) < float(np.finfo(np.float32).max))
    if not bounds[0] or has_upper or not graph.is_float32(node.output[0]):
        return None
    return [onnx.helper.make_node("Max", [node.input[0], bounds[0]], list(node.output), node.name)]


def _square(node: Any, graph: _Graph) -> list[Any] | None:
    """Multiply a value by itself."""
    import onnx

    exponent = graph.constants.get(node.input[1])
    if exponent is None or exponent.size != 1 or float(exponent.reshape(-1)[0]) != 2.0:
        return None
    return [onnx.helper.make_node("Mul", [node.input[0]] * 2, list(node.output), node.name)]


_REWRITES: Mapping[str, Callable[[Any, _Graph], list[Any] | None]] = {
    "Clip": _floor,
    "HardSigmoid": _hard_sigmoid,
    "Pow": _square,
    "ReduceSum": _sum,
}
