"""A small ONNX file: what a runtime works out by itself, says nothing, or stands there already is left out.

A student of 100,000 weights has 100 kB of them in int8, so that names and notes on shapes decide how large its file is.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator, Mapping
from typing import Any

_WINDOWED = ("Conv", "ConvTranspose", "MaxPool", "AveragePool")
# What a window does where it is not told; the specification says so in words, not in the operators' schemas.
_UNTOLD = {"strides": 1, "dilations": 1, "pads": 0}


def name_plainly(proto: Any) -> None:
    """Name operators, and what they give, after their kind and place: ``Conv_12``.

    Float32 files and those made from them share these names, so that they can be compared operator by operator.
    """
    if _reaches_inside(proto):
        return
    given = {output.name for output in proto.graph.output}
    names: dict[str, str] = {}
    for place, node in enumerate(proto.graph.node):
        node.name = f"{node.op_type}_{place}"
        for index, output in enumerate(node.output):
            if output and output not in given:
                names[output] = f"{node.name}_{index}" if index else node.name
    _rename(proto.graph, names)


def name_output(proto: Any, old: str, new: str) -> None:
    """Rename the graph's output."""
    _rename(proto.graph, {old: new})
    for output in proto.graph.output:
        output.name = new if output.name == old else output.name


def compact(proto: Any) -> None:
    """Drop what can be inferred, keep equal constants once, and shorten the names of constants and of quantised values.

    Names of inputs, of outputs and of what the operators of the float32 graph give stay as they are.
    """
    del proto.graph.value_info[:]
    for node in proto.graph.node:
        _drop_defaults(node)
    if _reaches_inside(proto):
        return
    _share_constants(proto.graph)
    names = {constant.name for constant in proto.graph.initializer}
    for node in proto.graph.node:
        node.name = ""
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            names.update(node.output)
    names -= {value.name for value in (*proto.graph.input, *proto.graph.output)}
    taken = {name for node in proto.graph.node for name in node.output} - names
    short = (name for name in _short_names() if name not in taken)
    ordered = [name for node in proto.graph.node for name in (*node.input, *node.output) if name in names]
    _rename(proto.graph, dict(zip(dict.fromkeys(ordered), short, strict=False)))


def _reaches_inside(proto: Any) -> bool:
    """Whether names are used in places other than the graph's own nodes: branches, loops, functions."""
    bodies = (attribute.HasField("g") or attribute.graphs for node in proto.graph.node for attribute in node.attribute)
    return bool(proto.functions) or any(bodies)


def _drop_defaults(node: Any) -> None:
    import onnx

    has_schema = onnx.defs.has(node.op_type, node.domain)
    known = onnx.defs.get_schema(node.op_type, domain=node.domain).attributes if has_schema else {}
    kept = [one for one in node.attribute if not (_says_nothing(node, one) or _is_default(one, known))]
    if len(kept) < len(node.attribute):
        del node.attribute[:]
        node.attribute.extend(kept)


def _says_nothing(node: Any, attribute: Any) -> bool:
    untold = _UNTOLD.get(attribute.name)
    return node.op_type in _WINDOWED and untold is not None and all(value == untold for value in attribute.ints)


def _is_default(attribute: Any, known: Mapping[str, Any]) -> bool:
    """Whether an attribute says what the operator's schema says without it."""
    default = known[attribute.name].default_value if attribute.name in known else None
    if default is None or default.type != attribute.type:
        return False
    return all(getattr(default, field) == getattr(attribute, field) for field in ("i", "f", "s", "ints", "floats"))


def _share_constants(graph: Any) -> None:
    """Keep one of each group of equal constants, as raw bytes."""
    import onnx

    own = _zero_points_of_weights(graph)
    kept: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    names: dict[str, str] = {}
    constants: list[Any] = []
    for given in graph.initializer:
        # Whatever field the numbers came in, raw bytes take least.
        is_text = given.data_type == onnx.TensorProto.STRING
        constant = given if is_text else onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(given), given.name)
        key = (constant.data_type, tuple(constant.dims), constant.raw_data or constant.SerializeToString())
        if constant.name in own or key not in kept:
            constants.append(constant)
        if constant.name not in own:
            names[constant.name] = kept.setdefault(key, constant.name)
    del graph.initializer[:]
    graph.initializer.extend(constants)
    _rename(graph, names)


def _zero_points_of_weights(graph: Any) -> set[str]:
    """Constants that have to stay one for each layer.

    On x86 without VNNI, or when asked for exact sums, ONNX Runtime turns weights and their zero points into uint8 and
    names the new ones after the old: it refuses to do so twice to one of them.
    """
    import onnx

    weights = {constant.name for constant in graph.initializer if constant.data_type == onnx.TensorProto.INT8}
    back = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in weights]
    return {node.input[2] for node in back if len(node.input) > 2}


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.initializer, *graph.value_info):
        value.name = names.get(value.name, value.name)


def _short_names() -> Iterator[str]:
    """``a`` to ``Z``, ``aa`` to ``ZZ`` and so on."""
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_letters, repeat=length):
            yield "".join(letters)
