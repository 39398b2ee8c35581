"""What ONNX Runtime's providers for phones ask of an operator's inputs, beyond its name.

From ``IsOpSupportedImpl`` and ``HasSupportedInputOutputsImpl`` of the operators' builders, below
``onnxruntime/core/providers/nnapi/nnapi_builtin/builders/impl`` and ``.../coreml/builders/impl``. Only conditions
that decide about an image embedder; the rest are in the tables' notes, which nothing here reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from export.bundle.accelerators import AcceleratorName

FLOAT, UINT8, INT32, INT64, BOOL, HALF = 1, 2, 6, 7, 9, 10
"""Numbers of ``onnx.TensorProto.DataType``."""
_NAMES = {FLOAT: "float32", UINT8: "uint8", HALF: "float16"}


@dataclass(frozen=True)
class Operand:
    """An input of an operator.

    Attributes:
        type: Number of its data type; 0 if unknown.
        rank: Number of its axes.
        fixed: True if every axis has a known size.
        number: The value of a constant with a single number.
    """

    type: int
    rank: int
    fixed: bool
    number: float | None = None


Operands = Mapping[str, Operand]
Refusal = Callable[[Any, Operands], str]
"""Returns why a provider leaves a node to the processor; empty if it does not."""


@dataclass(frozen=True)
class Provider:
    """A provider.

    Attributes:
        name: The accelerator that it leads to.
        table: Its table of operators, a file of ONNX Runtime's mobile usability checker.
        types: Types of the first input of an operator without an entry in ``first``.
        rank: Largest number of axes.
        first: Types of the first input, by operator; none if any.
        rules: Further conditions, by operator.
    """

    name: AcceleratorName
    table: str
    types: tuple[int, ...]
    rank: int
    first: Mapping[str, tuple[int, ...]]
    rules: Mapping[str, Refusal]

    def refusal(self, node: Any, operands: Operands) -> str:
        """Return why the provider leaves a node that its table lists to the processor; empty if it takes it."""
        inputs = [operands.get(name, Operand(0, 0, fixed=False)) for name in node.input if name]
        if not all(operand.fixed for operand in inputs):
            return "the shape of an input is not fixed"
        if any(operand.rank > self.rank for operand in inputs):
            return f"an input has more than {self.rank} axes"
        types = self.first.get(node.op_type, self.types)
        if types and inputs and inputs[0].type not in types:
            return f"its input is {_NAMES.get(inputs[0].type, 'of another type')}"
        rule = self.rules.get(node.op_type)
        return rule(node, operands) if rule else ""


def _relu6_or_relu1(node: Any, operands: Operands) -> str:
    bounds = [operands[name].number if name else None for name in node.input[1:]]
    return "" if bounds in ([0.0, 6.0], [-1.0, 1.0]) else "its bounds are not 0 and 6, nor -1 and 1"


def _two_inputs(node: Any, _operands: Operands) -> str:
    return "" if len(node.input) == 2 else "it has more than two inputs"


def _float32_alone(node: Any, operands: Operands) -> str:
    return "" if all(operands[name].type == FLOAT for name in node.input) else "its inputs are not all float32"


PROVIDERS = (
    Provider(
        name="coreml-ep",
        table="coreml_supported_mlprogram_ops.md",
        types=(FLOAT, HALF),
        rank=5,
        first={"Cast": (INT32, INT64, FLOAT, HALF, BOOL), "Shape": ()},
        rules={"Pow": _float32_alone},
    ),
    Provider(
        name="nnapi",
        table="nnapi_supported_ops.md",
        types=(FLOAT,),
        rank=4,
        first={"Transpose": (FLOAT, UINT8), "DequantizeLinear": (), "Gather": ()},
        rules={"Clip": _relu6_or_relu1, "Max": _two_inputs, "Min": _two_inputs},
    ),
)
