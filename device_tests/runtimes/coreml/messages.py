"""The protocol buffer messages of a Core ML model file, as far as ML programs use them.

Declared here from the published format (coremltools, ``mlmodel/format/Model.proto``, ``FeatureTypes.proto`` and
``MIL.proto``) so that reading a model needs protobuf and not coremltools. They are in a separate descriptor pool, so
that both may be imported into one process.
"""

from __future__ import annotations

import re
from typing import Any

_PACKAGE = "hetero.coreml"

# Field number and type; "*" marks a repeated field, "{}" a map from text.
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "Model": {
        "specificationVersion": (1, "int32"),
        "description": (2, "ModelDescription"),
        "isUpdatable": (10, "bool"),
        "mlProgram": (502, "Program"),
    },
    "ModelDescription": {
        "input": (1, "*FeatureDescription"),
        "output": (10, "*FeatureDescription"),
        "functions": (20, "*FunctionDescription"),
        "defaultFunctionName": (21, "string"),
        "state": (13, "*FeatureDescription"),
        "metadata": (100, "Metadata"),
    },
    "FunctionDescription": {
        "name": (1, "string"),
        "input": (2, "*FeatureDescription"),
        "output": (3, "*FeatureDescription"),
        "state": (6, "*FeatureDescription"),
    },
    "Metadata": {
        "shortDescription": (1, "string"),
        "versionString": (2, "string"),
        "author": (3, "string"),
        "license": (4, "string"),
        "userDefined": (100, "{string}"),
    },
    "FeatureDescription": {"name": (1, "string"), "shortDescription": (2, "string"), "type": (3, "FeatureType")},
    "FeatureType": {
        "imageType": (4, "ImageFeatureType"),
        "multiArrayType": (5, "ArrayFeatureType"),
        "isOptional": (1000, "bool"),
    },
    "ImageFeatureType": {"width": (1, "int64"), "height": (2, "int64"), "colorSpace": (3, "int32")},
    "ArrayFeatureType": {"shape": (1, "*int64"), "dataType": (2, "int32")},
    "Program": {
        "version": (1, "int64"),
        "functions": (2, "{Function}"),
        "docString": (3, "string"),
        "attributes": (4, "{Value}"),
    },
    "Function": {
        "inputs": (1, "*NamedValueType"),
        "opset": (2, "string"),
        "block_specializations": (3, "{Block}"),
        "attributes": (4, "{Value}"),
    },
    "Block": {
        "inputs": (1, "*NamedValueType"),
        "outputs": (2, "*string"),
        "operations": (3, "*Operation"),
        "attributes": (4, "{Value}"),
    },
    "Operation": {
        "type": (1, "string"),
        "inputs": (2, "{Argument}"),
        "outputs": (3, "*NamedValueType"),
        "blocks": (4, "*Block"),
        "attributes": (5, "{Value}"),
    },
    "Argument": {"arguments": (1, "*Binding")},
    "Binding": {"name": (1, "string"), "value": (2, "Value")},
    "NamedValueType": {"name": (1, "string"), "type": (2, "ValueType")},
    "ValueType": {"tensorType": (1, "TensorType")},
    "TensorType": {"dataType": (1, "int32"), "rank": (2, "int64"), "dimensions": (3, "*Dimension")},
    "Dimension": {"constant": (1, "ConstantDimension"), "unknown": (2, "UnknownDimension")},
    "ConstantDimension": {"size": (1, "uint64")},
    "UnknownDimension": {"variadic": (1, "bool")},
    "Value": {
        "docString": (1, "string"),
        "type": (2, "ValueType"),
        "immediateValue": (3, "ImmediateValue"),
        "blobFileValue": (5, "BlobFileValue"),
    },
    "ImmediateValue": {"tensor": (1, "TensorValue")},
    "BlobFileValue": {"fileName": (1, "string"), "offset": (2, "uint64")},
    "TensorValue": {
        "floats": (1, "RepeatedFloats"),
        "ints": (2, "RepeatedInts"),
        "bools": (3, "RepeatedBools"),
        "strings": (4, "RepeatedStrings"),
        "longInts": (5, "RepeatedLongInts"),
        "doubles": (6, "RepeatedDoubles"),
        "bytes": (7, "RepeatedBytes"),
    },
    "RepeatedFloats": {"values": (1, "*float")},
    "RepeatedInts": {"values": (1, "*int32")},
    "RepeatedBools": {"values": (1, "*bool")},
    "RepeatedStrings": {"values": (1, "*string")},
    "RepeatedLongInts": {"values": (1, "*int64")},
    "RepeatedDoubles": {"values": (1, "*double")},
    "RepeatedBytes": {"values": (1, "bytes")},
}

_CLASSES: dict[str, Any] = {}


def parse_model(data: bytes) -> Any:
    """Parse a ``model.mlmodel``.

    Raises:
        ValueError: If it is not one message of this kind.
    """
    from google.protobuf.message import DecodeError

    message = model_class()()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise ValueError(str(error)) from None
    return message


def unknown_fields(message: Any) -> list[int]:
    """Return the numbers of a message's fields that are not declared here."""
    from google.protobuf.unknown_fields import UnknownFieldSet

    return [field.field_number for field in UnknownFieldSet(message)]


def model_class() -> Any:
    """Return the class of the whole model's message."""
    if not _CLASSES:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

        file = descriptor_pb2.FileDescriptorProto(name="hetero_coreml.proto", package=_PACKAGE, syntax="proto3")
        for name, fields in _MESSAGES.items():
            _declare(file.message_type.add(name=name), fields)
        pool = descriptor_pool.DescriptorPool()
        pool.Add(file)
        _CLASSES["Model"] = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.Model"))
    return _CLASSES["Model"]


def _declare(message: Any, fields: dict[str, tuple[int, str]]) -> None:
    for name, (number, text) in fields.items():
        kind, repeated = text.strip("*{}"), text[0] in "*{"
        if text[0] == "{":
            entry = _entry_name(name)
            nested = message.nested_type.add(name=entry)
            nested.options.map_entry = True
            _declare(nested, {"key": (1, "string"), "value": (2, kind)})
            kind = f"{message.name}.{entry}"
        _add_field(message, name, number, kind, repeated=repeated)


def _add_field(message: Any, name: str, number: int, kind: str, *, repeated: bool) -> None:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto

    label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    if kind[0].isupper():
        field.type, field.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
    else:
        field.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")


def _entry_name(field: str) -> str:
    # As protoc names the message of a map's entries.
    return re.sub(r"(?:^|_)([a-z])", lambda match: match[1].upper(), field) + "Entry"
