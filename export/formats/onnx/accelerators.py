"""The parts of an ONNX file that ONNX Runtime's Core ML and NNAPI providers take.

Tables of operators and the division into partitions are those of ONNX Runtime's mobile usability checker. It looks at
an operator's name alone; :mod:`export.formats.onnx.providers` adds what the providers ask of its inputs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export.bundle.accelerators import AcceleratorFit, Breaker
from export.formats.onnx.providers import PROVIDERS, Operand, Provider

_WRITTEN_OUT = ("HardSwish",)
"""Operators without a kernel in ONNX Runtime, which replaces them by their definition before it divides a graph."""
_UNKNOWN = "its table of operators does not list it"


def fits(path: Path) -> tuple[AcceleratorFit, ...]:
    """Return the fit of a file to each provider."""
    graph = _written_out(path)
    operands = _operands(graph)
    return tuple(_fit(graph, operands, provider) for provider in PROVIDERS)


def _written_out(path: Path) -> Any:
    """Return a file's graph as it is divided at run time, with the shapes of its values."""
    import onnx
    from onnx.inliner import inline_selected_functions

    kinds = [("", kind) for kind in _WRITTEN_OUT]
    model: Any = inline_selected_functions(onnx.load(path), kinds, inline_schema_functions=True)
    return onnx.shape_inference.infer_shapes(model).graph


def _operands(graph: Any) -> dict[str, Operand]:
    """Return the constants and the values whose shape is known."""
    from onnx import numpy_helper

    operands: dict[str, Operand] = {}
    for value in (*graph.input, *graph.value_info, *graph.output):
        tensor = value.type.tensor_type
        fixed = tensor.HasField("shape") and all(side.HasField("dim_value") for side in tensor.shape.dim)
        operands[value.name] = Operand(tensor.elem_type, len(tensor.shape.dim), fixed)
    for constant in graph.initializer:
        value = numpy_helper.to_array(constant)
        number = float(value.reshape(-1)[0]) if value.size == 1 else None
        operands[constant.name] = Operand(constant.data_type, value.ndim, fixed=True, number=number)
    return operands


def _fit(graph: Any, operands: Mapping[str, Operand], provider: Provider) -> AcceleratorFit:
    from onnxruntime.tools.mobile_helpers import usability_checker

    tool: Any = usability_checker
    table = tool._SupportedOpsChecker(Path(tool.__file__).parent / provider.table)
    reasons = {
        node.output[0]: provider.refusal(node, operands) if table.is_op_supported(node) else _UNKNOWN
        for node in graph.node
    }
    # Fixed shapes and ranks are among the reasons: the tool takes the name of an input that is left out for open.
    division = tool.check_partitioning(graph, _Taken(reasons), require_fixed_input_sizes=False)
    breakers = Counter((node.op_type, reason) for node in graph.node if (reason := reasons[node.output[0]]))
    return AcceleratorFit(
        provider.name,
        division.num_partitions,
        division.num_supported_nodes,
        division.num_nodes,
        tuple(Breaker(operator, count, reason) for (operator, reason), count in sorted(breakers.items())),
    )


class _Taken:
    """A table of operators, as the tool asks it."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        self._reasons = reasons

    def is_op_supported(self, node: Any) -> bool:
        return not self._reasons[node.output[0]]
