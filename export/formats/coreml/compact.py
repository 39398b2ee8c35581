"""A small Core ML program: equal constants stored once, short names, and one zero point where all are equal.

The converter writes a constant for every option of every operator, named after the operator: half of the description
of a small network.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from export.formats.coreml.weights import move_small_within


def compact(specification: Any, weights: bytes) -> bytes:
    """Rewrite the main function of a ``Model`` message; its computation, inputs and outputs do not change.

    Results of operators are named by position, ``v12``, constants ``c12``.

    Args:
        specification: Changed in place.
        weights: Content of its file of weights.

    Returns:
        The new content of the file.
    """
    program = specification.mlProgram
    blocks = [block for function in program.functions.values() for block in function.block_specializations.values()]
    # Names and weights that other blocks use would have to change there, too.
    if len(blocks) != 1 or any(operation.blocks for operation in blocks[0].operations):
        return weights
    (block,) = blocks
    remaining = move_small_within(block.operations, weights)
    _share_zero_points(block.operations)
    _share_constants(block)
    _shorten_names(block)
    return remaining


def _share_zero_points(operations: Iterable[Any]) -> None:
    """Store one zero point instead of one for each channel, where they are equal: symmetric weights all have zero."""
    for operation in operations:
        if operation.type == "constexpr_affine_dequantize":
            point = operation.attributes["zero_point"]
            points = point.immediateValue.tensor.bytes.values
            if len({*points}) == 1:
                point.immediateValue.tensor.bytes.values = points[:1]
                point.type.tensorType.rank = 0
                del point.type.tensorType.dimensions[:]


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
        stem = f"c{place}" if constant else f"v{place}"
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
