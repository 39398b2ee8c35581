"""Decoding a package's messages to a :class:`Program`; anything damaged or unknown is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from device_tests.runtimes.coreml.errors import NotVerifiedError
from device_tests.runtimes.coreml.messages import parse_model, unknown_fields
from device_tests.runtimes.coreml.package import Package, open_package
from device_tests.runtimes.coreml.program import (
    Argument,
    Colour,
    Constant,
    Feature,
    Operation,
    Program,
    Reference,
    Variable,
)
from device_tests.runtimes.coreml.values import read_type, read_value
from hetero.errors import IntegrityError

_COLOURS: dict[int, Colour] = {10: "GRAYSCALE", 20: "RGB", 30: "BGR"}
# Specification versions from iOS 15 (5) to iOS 18 (9).
_VERSIONS = range(5, 10)


def read_program(path: Path) -> Program:
    """Read an ``.mlpackage`` that holds an ML program.

    Raises:
        InputError: If there is no package.
        IntegrityError: If it is damaged.
        NotVerifiedError: If it contains something unknown.
    """
    package = open_package(path)
    try:
        model = parse_model(package.read_model())
    except ValueError as error:
        raise IntegrityError(f"{path.name}: its model cannot be parsed: {error}") from None
    if not model.HasField("mlProgram"):
        raise NotVerifiedError("model", path.name, "it is not an ML program")
    if model.specificationVersion not in _VERSIONS:
        raise NotVerifiedError("model", path.name, f"specification version {model.specificationVersion}")
    return _Decoder(package, path.name).program(model)


class _Decoder:
    """The decoder of one program, with the names defined so far."""

    def __init__(self, package: Package, name: str) -> None:
        self._package = package
        self._name = name
        self._defined: set[str] = set()
        self._constants: dict[str, Constant] = {}

    def program(self, model: Any) -> Program:
        function = self._main(model)
        block = function.block_specializations[function.opset]
        inputs = tuple(self._variable(item, "input") for item in function.inputs)
        features = tuple(self._feature(item) for item in model.description.input)
        if len(block.inputs) or model.description.state:
            raise NotVerifiedError("block", self._name, "it has inputs or states of its own")
        if [feature.name for feature in features] != [item.name for item in inputs]:
            raise IntegrityError(f"{self._name}: its description and its program name different inputs")
        operations = [operation for item in block.operations if (operation := self._operation(item)) is not None]
        outputs = tuple(str(name) for name in block.outputs)
        if sorted(outputs) != sorted(str(item.name) for item in model.description.output) or not outputs:
            raise IntegrityError(f"{self._name}: its description and its program name different outputs")
        if undefined := [name for name in outputs if name not in self._defined]:
            raise IntegrityError(f"{self._name}: the output {undefined[0][:200]!r} is never computed")
        metadata = dict(model.description.metadata.userDefined)
        return Program(inputs, outputs, tuple(operations), self._constants, features, metadata, function.opset)

    def _main(self, model: Any) -> Any:
        program = model.mlProgram
        name = model.description.defaultFunctionName or "main"
        if program.version != 1 or unknown_fields(program) or name not in program.functions:
            raise NotVerifiedError("program", self._name, f"version {program.version}, or no function {name[:100]!r}")
        function = program.functions[name]
        if function.opset not in function.block_specializations or unknown_fields(function):
            raise IntegrityError(f"{self._name}: the function {name[:100]!r} has no block for {function.opset[:100]!r}")
        return function

    def _feature(self, message: Any) -> Feature:
        if message.type.HasField("multiArrayType") and not message.type.isOptional:
            return Feature(message.name)
        image = message.type.imageType
        colour = _COLOURS.get(image.colorSpace)
        if not message.type.HasField("imageType") or colour is None or message.type.isOptional:
            raise NotVerifiedError("input", message.name, "it is neither an 8-bit image nor an array")
        return Feature(message.name, colour, int(image.height), int(image.width))

    def _variable(self, message: Any, operator: str) -> Variable:
        name = str(message.name)
        if not name or name in self._defined:
            raise IntegrityError(f"{self._name}: {name[:200]!r} is defined twice, or has no name")
        if unknown_fields(message):
            raise NotVerifiedError(operator, name, "it has attributes that are not known")
        self._defined.add(name)
        return Variable(name, read_type(message.type, operator, name))

    def _operation(self, message: Any) -> Operation | None:
        """Return an operation; None for a constant, which is stored instead."""
        kind = str(message.type)
        if not message.outputs:
            raise IntegrityError(f"{self._name}: an operator {kind[:100]!r} without outputs")
        name = str(message.outputs[0].name)
        if unknown_fields(message) or message.blocks:
            raise NotVerifiedError(kind, name, "it has blocks or attributes that are not known")
        arguments = {
            str(parameter): tuple(self._argument(binding, kind, name) for binding in bound.arguments)
            for parameter, bound in message.inputs.items()
        }
        attributes = {
            str(parameter): read_value(value, kind, name, self._package.open_weights)
            for parameter, value in message.attributes.items()
            if parameter != "name"
        }
        if {*arguments} & {*attributes}:
            raise IntegrityError(f"{self._name}: {kind} at {name} gives a parameter twice")
        outputs = tuple(self._variable(item, kind) for item in message.outputs)
        if kind == "const":
            self._constants[name] = _constant(outputs, arguments, attributes, name)
            return None
        held = {parameter: (value,) for parameter, value in attributes.items()}
        return Operation(kind, {**arguments, **held}, outputs)

    def _argument(self, binding: Any, kind: str, name: str) -> Argument:
        if unknown_fields(binding) or bool(binding.name) == binding.HasField("value"):
            raise NotVerifiedError(kind, name, "an argument is neither a name nor a value")
        if binding.HasField("value"):
            return read_value(binding.value, kind, name, self._package.open_weights)
        if binding.name not in self._defined:
            raise IntegrityError(
                f"{self._name}: {kind} at {name} uses {binding.name[:200]!r} before it is defined, or in a circle"
            )
        return Reference(str(binding.name))


def _constant(outputs: tuple[Variable, ...], arguments: Any, attributes: dict[str, Constant], name: str) -> Constant:
    if len(outputs) != 1 or arguments or {*attributes} != {"val"}:
        raise NotVerifiedError("const", name, "it has other attributes than its value")
    value, declared = attributes["val"], outputs[0].type
    fits = declared.element.name == "string" if isinstance(value, str) else value.dtype == declared.element.dtype
    if not fits or (not isinstance(value, str) and value.shape != declared.shape):
        raise IntegrityError(f"const at {name}: its value is not the {declared} that it is declared as")
    return value
