"""Constants of a program: written into it, or stored in a file of weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from device_tests.runtimes.coreml.errors import NotVerifiedError
from device_tests.runtimes.coreml.messages import unknown_fields
from device_tests.runtimes.coreml.types import ELEMENTS, STRING, TensorType
from device_tests.runtimes.coreml.weights import WeightFile, unpack
from hetero.errors import IntegrityError

LARGEST_TENSOR = 1 << 28
"""Largest number of elements; no tensor of a vision model comes near it."""

# The fields in which MIL stores the numbers of a type: float16 and some integers as bytes, the rest in their own field.
_FIELDS = {
    "bool": "bools", "fp32": "floats", "int16": "ints", "int32": "ints", "uint16": "ints", "uint32": "ints",
    "int64": "longInts", "uint64": "longInts",
}  # fmt: skip

OpenWeights = Callable[[str], WeightFile]


def read_type(message: Any, operator: str, name: str) -> TensorType:
    """Return the tensor type of a ``ValueType`` message.

    Args:
        message: The message.
        operator: The value's operator, for messages.
        name: The value's name, for messages.

    Raises:
        NotVerifiedError: For an unknown element type, or no tensor.
        IntegrityError: For a shape too large for any machine.
    """
    if not message.HasField("tensorType") or unknown_fields(message) or unknown_fields(message.tensorType):
        raise NotVerifiedError(operator, name, "its type is not a plain tensor")
    tensor = message.tensorType
    element = ELEMENTS.get(tensor.dataType)
    if element is None:
        raise NotVerifiedError(operator, name, f"the element type {tensor.dataType} is not known")
    if tensor.rank != len(tensor.dimensions) or tensor.rank > 8:
        raise IntegrityError(f"{name}: its rank is {tensor.rank}, but it has {len(tensor.dimensions)} dimensions")
    shape = tuple(_size(dimension, operator, name) for dimension in tensor.dimensions)
    declared = TensorType(element, shape)
    if declared.size > LARGEST_TENSOR:
        raise IntegrityError(f"{name}: its shape {list(shape)} is absurd: more than {LARGEST_TENSOR} elements")
    return declared


def _size(dimension: Any, operator: str, name: str) -> int | None:
    if dimension.HasField("constant"):
        return int(dimension.constant.size)
    if not dimension.HasField("unknown") or dimension.unknown.variadic:
        raise NotVerifiedError(operator, name, "its rank is not fixed")
    return None


def read_value(message: Any, operator: str, name: str, open_weights: OpenWeights) -> NDArray[Any] | str:
    """Return the constant of a ``Value`` message: an array of its declared type, or a text.

    Args:
        message: The message.
        operator: The operator with the value, for messages.
        name: The value's name, for messages.
        open_weights: Opens a file of weights by the program's name for it.

    Raises:
        NotVerifiedError: For an unknown kind of value.
        IntegrityError: If the value contradicts its type.
    """
    declared = read_type(message.type, operator, name)
    if None in declared.shape:
        raise IntegrityError(f"{name}: a constant whose shape is not known")
    immediate, stored = message.HasField("immediateValue"), message.HasField("blobFileValue")
    if immediate == stored or unknown_fields(message):
        raise NotVerifiedError(operator, name, "its value is neither written out nor in a file of weights")
    if stored:
        blob = message.blobFileValue
        flat = open_weights(blob.fileName).read(blob.offset, declared.element, declared.size)
        return flat.reshape(declared.known_shape)
    if not message.immediateValue.HasField("tensor"):
        raise NotVerifiedError(operator, name, "its value is no tensor")
    return _immediate(message.immediateValue.tensor, declared, operator, name)


def _immediate(tensor: Any, declared: TensorType, operator: str, name: str) -> NDArray[Any] | str:
    element = declared.element
    field = _FIELDS.get(element.name, "strings" if element is STRING else "bytes")
    fields = [each.name for each, _ in tensor.ListFields()]
    if fields == ["bytes"] and element.dtype.kind in "iu":
        field = "bytes"
    if fields not in ([field], []):
        raise IntegrityError(f"{name}: expected a constant of type {declared}, got something else")
    values = getattr(tensor, field).values
    if element is STRING:
        if declared.shape or len(values) != 1:
            raise NotVerifiedError(operator, name, "a list of texts")
        return str(values[0])
    if field == "bytes":
        flat = _from_bytes(bytes(values), declared, name)
    else:
        if len(values) != declared.size:
            raise IntegrityError(f"{name}: expected {declared.size} numbers for {declared}, got {len(values)}")
        flat = _checked(np.array(values, _wide(field)), declared, name)
    return flat.reshape(declared.known_shape)


def _wide(field: str) -> str:
    return {"bools": "bool", "floats": "float32", "ints": "int32", "longInts": "int64"}[field]


def _checked(values: NDArray[Any], declared: TensorType, name: str) -> NDArray[Any]:
    narrow = values.astype(declared.element.dtype)
    # Unsigned 32 and 64 bits are stored as the signed number of the same bits.
    if values.dtype.itemsize > narrow.dtype.itemsize and (narrow != values).any():
        raise IntegrityError(f"{name}: it holds numbers that {declared.element.name} cannot")
    return narrow


def _from_bytes(data: bytes, declared: TensorType, name: str) -> NDArray[Any]:
    element, count = declared.element, declared.size
    expected = -(-count * element.bits // 8)
    if len(data) != expected:
        raise IntegrityError(f"{name}: expected {expected} bytes for {declared}, got {len(data)}")
    if element.bits < 8:
        return unpack(np.frombuffer(data, np.uint8), element, count)
    return np.frombuffer(data, element.dtype)
