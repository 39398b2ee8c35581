"""A small Core ML program: equal constants once, and short names.

The converter writes a constant for every option of every operator, named after the operator: half of the description
of a small network.
"""

from __future__ import annotations

from typing import Any


def compact(specification: Any) -> None:
    """Rewrite the main function of a ``Model`` message; weights, inputs and outputs stay as they are.

    What operators give is named after their kind and place, ``conv_12``, constants ``c12``.
    """
    program = specification.mlProgram
    for function in program.functions.values():
        for block in function.block_specializations.values():
            # Names that other blocks or functions see would have to change there, too.
            if len(program.functions) == 1 and not any(operation.blocks for operation in block.operations):
                _share_constants(block)
                _shorten_names(block)


def _share_constants(block: Any) -> None:
    """Keep the first of each group of equal constants, which every user of the others comes after."""
    kept: dict[bytes, str] = {}
    names: dict[str, str] = {}
    operations: list[Any] = []
    for operation in block.operations:
        if operation.type == "const":
            (output,) = operation.outputs
            value = operation.attributes["val"].SerializeToString(deterministic=True)
            names[output.name] = kept.setdefault(value, output.name)
            if names[output.name] != output.name and output.name not in block.outputs:
                continue
        _rename_inputs(operation, names)
        operations.append(operation)
    copies = [type(operation).FromString(operation.SerializeToString()) for operation in operations]
    del block.operations[:]
    block.operations.extend(copies)


def _shorten_names(block: Any) -> None:
    names: dict[str, str] = {}
    for place, operation in enumerate(block.operations):
        _rename_inputs(operation, names)
        constant = operation.type == "const" or operation.type.startswith("constexpr_")
        stem = f"c{place}" if constant else f"{operation.type}_{place}"
        for index, output in enumerate(operation.outputs):
            if output.name not in block.outputs:
                names[output.name] = f"{stem}_{index}" if index else stem
                output.name = names[output.name]
        if "name" in operation.attributes:
            operation.attributes["name"].immediateValue.tensor.strings.values[:] = [operation.outputs[0].name]


def _rename_inputs(operation: Any, names: dict[str, str]) -> None:
    for argument in operation.inputs.values():
        for binding in argument.arguments:
            if binding.WhichOneof("binding") == "name":
                binding.name = names.get(binding.name, binding.name)
