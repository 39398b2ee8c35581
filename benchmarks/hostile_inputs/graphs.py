"""Changes of model files by their structure: what a byte at random would not reach."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np

from device_tests.runtimes.coreml.messages import model_class

_GRAPH_OF_MODEL, _NODE_OF_GRAPH, _ATTRIBUTE_OF_NODE, _GRAPH_OF_ATTRIBUTE = 7, 1, 5, 6
_SIZES = (0, 1, -1, 2, 7, 1 << 20, 1 << 31, 1 << 40, (1 << 62) + 1, -(1 << 63))
_NAMES = ("", "image", "embedding", "raw", "weights", "\x1b[31m", "../x", "x" * 10_000, "Loop", "If", "Custom")
# Of google.protobuf.FieldDescriptorProto.Type.
_MESSAGE, _TEXT, _BYTES, _FLOATS, _BOOL = 11, 9, 12, (1, 2), 8


def change_onnx(path: Path, chance: random.Random) -> None:
    """Another ONNX graph: a field of some message, weights elsewhere, a loop without end, one graph inside another."""
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    kind, more = chance.randrange(10), b""
    if kind == 0:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        place = chance.choice(
            ("../../../../etc/passwd", "/etc/passwd", "/dev/zero", "none.bin", "..", "model.fp32.onnx")
        )
        for key, value in (("location", place), ("offset", chance.choice(("0", "-1", "9" * 30))), ("length", "3456")):
            tensor.external_data.add(key=key, value=value)
    elif kind == 1:
        more = _nest(model, chance)
    elif kind == 2:
        _weigh(model.graph.initializer[0], chance)
    else:
        for _ in range(chance.choice((1, 1, 2, 4))):
            change_message(model, chance)
    path.write_bytes(model.SerializeToString() + more)


def change_coreml(path: Path, chance: random.Random) -> None:
    """Another Core ML program: fields of its messages."""
    model = model_class()()
    model.ParseFromString(path.read_bytes())
    for _ in range(chance.choice((1, 1, 2, 4))):
        change_message(model, chance)
    path.write_bytes(model.SerializeToString())


def change_litert(path: Path, chance: random.Random) -> None:
    """Another LiteRT graph: a field of some table, which the packed file holds as if it had always been so."""
    from export.formats.litert import file as litert_file

    model = litert_file.parse(path.read_bytes())
    for _ in range(chance.choice((1, 1, 2, 4))):
        _change_table(chance.choice(_tables(model)), chance)
    try:
        path.write_bytes(litert_file.pack(model))
    except Exception:  # What cannot be packed is no file to hand over: that of before stays, with a bit flipped.
        content = bytearray(path.read_bytes())
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)


def change_message(message: Any, chance: random.Random) -> None:
    """Change one field of a protocol buffer's message or of one inside it."""
    inner = chance.choice(_messages(message))
    fields = [field for field in inner.DESCRIPTOR.fields if field.type != _MESSAGE or _held(inner, field)]
    if not fields:
        inner.Clear()
        return
    field = chance.choice(fields)
    if field.type == _MESSAGE or chance.randrange(8) == 0:
        _rearrange(inner, field, chance)
        return
    value = _value(field.type, chance)
    try:
        if field.is_repeated:
            held = getattr(inner, field.name)
            if len(held) and chance.randrange(2):
                held[chance.randrange(len(held))] = value
            else:
                held.append(value)
        else:
            setattr(inner, field.name, value)
    except (ValueError, TypeError):  # Beyond what the field's type holds.
        inner.ClearField(field.name)


def _held(message: Any, field: Any) -> bool:
    return any(one.name == field.name for one, _ in message.ListFields())


def _rearrange(message: Any, field: Any, chance: random.Random) -> None:
    held = getattr(message, field.name)
    if not field.is_repeated or not len(held) or hasattr(held, "items"):
        message.ClearField(field.name)
    elif chance.randrange(2):
        del held[chance.randrange(len(held))]
    else:
        held.extend([held[chance.randrange(len(held))]])


def _value(kind: int, chance: random.Random) -> Any:
    if kind == _TEXT:
        return chance.choice(_NAMES)
    if kind == _BYTES:
        return chance.choice((b"", b"Loop", b"\xff" * 50, b"image", chance.randbytes(64)))
    if kind in _FLOATS:
        return chance.choice((float("nan"), float("inf"), -1.0, 0.0, 1e38))
    return bool(chance.randrange(2)) if kind == _BOOL else chance.choice((*_SIZES, chance.randrange(30)))


def _messages(message: Any) -> list[Any]:
    found = [message]
    for field, value in message.ListFields():
        if field.type != _MESSAGE:
            continue
        if hasattr(value, "items"):
            inner = [one for _, one in value.items() if hasattr(one, "ListFields")]
        else:
            inner = list(value) if field.is_repeated else [value]
        for one in inner:
            found += _messages(one)
    return found


def _weigh(tensor: Any, chance: random.Random) -> None:
    """Other weights: a few, or all of them."""
    values = np.frombuffer(tensor.raw_data, np.float32).copy()
    places = chance.sample(range(values.size), chance.choice((1, 1, 20, values.size)))
    values[places] = chance.choice((np.nan, np.inf, 0.0, 1e38, values[0], values[places] * np.float32(1 + 1e-6)))
    tensor.raw_data = values.tobytes()


def _nest(model: Any, chance: random.Random) -> bytes:
    """A loop that never ends in the graph; or, to be appended to the file, graphs inside each other."""
    from onnx import TensorProto, helper

    if chance.randrange(4) == 0:
        one = helper.make_tensor("always", TensorProto.BOOL, [], [True])
        trips = helper.make_tensor("trips", TensorProto.INT64, [], [2**62])
        body = helper.make_graph(
            [helper.make_node("Identity", ["still"], ["again"]), helper.make_node("Sin", ["last"], ["next"])],
            "body",
            [
                helper.make_tensor_value_info("round", TensorProto.INT64, []),
                helper.make_tensor_value_info("still", TensorProto.BOOL, []),
                helper.make_tensor_value_info("last", TensorProto.FLOAT, [1, 108]),
            ],
            [
                helper.make_tensor_value_info("again", TensorProto.BOOL, []),
                helper.make_tensor_value_info("next", TensorProto.FLOAT, [1, 108]),
            ],
        )
        model.graph.initializer.extend([one, trips])
        loop = helper.make_node("Loop", ["trips", "always", "flat"], ["turned"], body=body)
        model.graph.node.insert(2, loop)
        model.graph.node[3].input[0] = "turned"
        return b""
    # By hand: no writer goes deeper than the readers are meant to go.
    inner = b""
    for _ in range(chance.choice((20, 200, 20_000))):
        for field in (_GRAPH_OF_ATTRIBUTE, _ATTRIBUTE_OF_NODE, _NODE_OF_GRAPH):
            inner = bytes([field << 3 | 2]) + _varint(len(inner)) + inner
    return bytes([_GRAPH_OF_MODEL << 3 | 2]) + _varint(len(inner)) + inner


def _varint(value: int) -> bytes:
    made = b""
    while value >= 0x80:
        made, value = made + bytes([value & 0x7F | 0x80]), value >> 7
    return made + bytes([value])


def _tables(value: Any) -> list[Any]:
    """All tables of a flatbuffer's object tree."""
    found = [value]
    for held in vars(value).values():
        for one in held if isinstance(held, list) else [held]:
            if hasattr(one, "__dict__") and type(one).__name__.endswith("T"):
                found += _tables(one)
    return found


def _change_table(table: Any, chance: random.Random) -> None:
    name = chance.choice(list(vars(table)))
    value = getattr(table, name)
    if isinstance(value, bool):
        made: Any = not value
    elif isinstance(value, int):
        made = chance.choice((-1, 0, 1, 3, 100, 127, 255, 1 << 20, (1 << 31) - 1, value + 1))
    elif isinstance(value, float):
        made = chance.choice((float("nan"), float("inf"), -1.0, 0.0))
    elif isinstance(value, str | bytes):
        made = chance.choice(_NAMES)
    elif isinstance(value, list) and value and hasattr(value[0], "__dict__"):
        made = chance.choice((value[:-1], value[::-1], [*value, value[0]], []))
    elif isinstance(value, list | np.ndarray) and len(value):
        made = np.array(value)
        with np.errstate(all="ignore"):
            made[chance.randrange(len(made))] = chance.choice((0, 1, 2, 127, 100))
        if name in ("shape", "inputs", "outputs") and chance.randrange(2):
            made[chance.randrange(len(made))] = chance.choice((-1, 0, 1 << 20, (1 << 31) - 1, 99))
    else:
        made = None
    setattr(table, name, made)
