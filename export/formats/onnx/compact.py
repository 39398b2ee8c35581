"""A small ONNX file without duplicates and information that a runtime infers itself.

A student of 100,000 weights has 100 kB of them in int8, so that names and shape annotations dominate its file size.
"""

from __future__ import annotations

import itertools
import string
from collections.abc import Iterator, Mapping
from typing import Any

_WINDOWED = ("Conv", "ConvTranspose", "MaxPool", "AveragePool")
# A window's defaults; the specification states them in words, not in the operators' schemas.
_UNTOLD = {"strides": 1, "dilations": 1, "pads": 0}


def name_plainly(proto: Any) -> None:
    """Name operators and their outputs after kind and position: ``Conv_12``.

    Float32 files and those made from them share these names, so that they can be compared operator by operator.
    """
    if reaches_inside(proto):
        return
    outputs = {output.name for output in proto.graph.output}
    names: dict[str, str] = {}
    for place, node in enumerate(proto.graph.node):
        node.name = f"{node.op_type}_{place}"
        for index, output in enumerate(node.output):
            if output and output not in outputs:
                names[output] = f"{node.name}_{index}" if index else node.name
    _rename(proto.graph, names)


def name_output(proto: Any, old: str, new: str) -> None:
    """Rename the graph's output."""
    _rename(proto.graph, {old: new})
    for output in proto.graph.output:
        output.name = new if output.name == old else output.name


def compact(proto: Any) -> None:
    """Remove inferable information, store equal constants once, and shorten names of constants and of quantised values.

    Names of inputs, of outputs and of results of the float32 graph's operators do not change.
    """
    del proto.graph.value_info[:]
    for node in proto.graph.node:
        _drop_defaults(node)
    if reaches_inside(proto):
        return
    _share_constants(proto.graph)
    names = {constant.name for constant in proto.graph.initializer}
    for node in proto.graph.node:
        node.name = ""
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            names.update(node.output)
    names -= {value.name for value in (*proto.graph.input, *proto.graph.output)}
    computed = {name for node in proto.graph.node for name in node.output} - names
    short = (name for name in _short_names() if name not in computed)
    ordered = [name for node in proto.graph.node for name in (*node.input, *node.output) if name in names]
    _rename(proto.graph, dict(zip(dict.fromkeys(ordered), short, strict=False)))


def reaches_inside(proto: Any) -> bool:
    """Return True if names are used in places other than the graph's own nodes: branches, loops, functions."""
    bodies = (attribute.HasField("g") or attribute.graphs for node in proto.graph.node for attribute in node.attribute)
    return bool(proto.functions) or any(bodies)


def _drop_defaults(node: Any) -> None:
    import onnx

    has_schema = onnx.defs.has(node.op_type, node.domain)
    defaults = onnx.defs.get_schema(node.op_type, domain=node.domain).attributes if has_schema else {}
    remaining = [
        attribute
        for attribute in node.attribute
        if not (_says_nothing(node, attribute) or _is_default(attribute, defaults))
    ]
    if len(remaining) < len(node.attribute):
        del node.attribute[:]
        node.attribute.extend(remaining)


def _says_nothing(node: Any, attribute: Any) -> bool:
    untold = _UNTOLD.get(attribute.name)
    return node.op_type in _WINDOWED and untold is not None and all(value == untold for value in attribute.ints)


def _is_default(attribute: Any, defaults: Mapping[str, Any]) -> bool:
    """Return True if an attribute equals the default of the operator's schema."""
    default = defaults[attribute.name].default_value if attribute.name in defaults else None
    if default is None or default.type != attribute.type:
        return False
    return all(getattr(default, field) == getattr(attribute, field) for field in ("i", "f", "s", "ints", "floats"))


def _share_constants(graph: Any) -> None:
    """Keep one of each group of equal constants, as raw bytes."""
    import onnx

    own = _of_one_layer(graph)
    name_of: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    names: dict[str, str] = {}
    constants: list[Any] = []
    for tensor in graph.initializer:
        # Whichever field had the numbers, raw bytes are smallest.
        is_text = tensor.data_type == onnx.TensorProto.STRING
        constant = tensor if is_text else onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor), tensor.name)
        key = (constant.data_type, tuple(constant.dims), constant.raw_data or constant.SerializeToString())
        if constant.name in own or key not in name_of:
            constants.append(constant)
        if constant.name not in own:
            names[constant.name] = name_of.setdefault(key, constant.name)
    del graph.initializer[:]
    graph.initializer.extend(constants)
    _rename(graph, names)


def _of_one_layer(graph: Any) -> set[str]:
    """Return constants that must not be shared between layers: int8 weights, and their zero points.

    On x86 without VNNI, or with exact sums requested, ONNX Runtime converts weights and their zero points to uint8 and
    names the new ones after the old: it refuses to do so twice with the same constant.
    """
    import onnx

    weights = {constant.name for constant in graph.initializer if constant.data_type == onnx.TensorProto.INT8}
    back = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in weights]
    return {name for node in back for name in (node.input[0], *node.input[2:])}


def _rename(graph: Any, names: Mapping[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.initializer, *graph.value_info):
        value.name = names.get(value.name, value.name)


def _short_names() -> Iterator[str]:
    """Yield ``a`` to ``Z``, ``aa`` to ``ZZ`` and so on."""
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_letters, repeat=length):
            yield "".join(letters)
