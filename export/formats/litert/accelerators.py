"""The parts of a LiteRT file that its GPU delegate takes."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from export.bundle.accelerators import AcceleratorFit, Breaker
from export.formats.litert.file import operator_name, parse
from export.formats.litert.gpu import Operand, refusal


def fits(path: Path) -> tuple[AcceleratorFit, ...]:
    """Return the fit of a file with one graph to the GPU delegate."""
    model = parse(path.read_bytes())
    (graph,) = model.subgraphs
    # Weights in float16 are widened by operators that the delegate does away with.
    operators = [one for one in graph.operators if not _is_constant(model, graph, one)]
    kinds = [operator_name(model, operator) for operator in operators]
    reasons = [
        refusal(kind, _operands(model, graph, operator.inputs), _operands(model, graph, operator.outputs))
        for kind, operator in zip(kinds, operators, strict=True)
    ]
    taken = [not reason for reason in reasons]
    counts = Counter((kind, reason) for kind, reason in zip(kinds, reasons, strict=True) if reason)
    breakers = tuple(Breaker(kind, count, reason) for (kind, reason), count in sorted(counts.items()))
    return (AcceleratorFit("litert-gpu", partitions(operators, taken), sum(taken), len(taken), breakers),)


def partitions(operators: Sequence[Any], taken: Sequence[bool]) -> int:
    """Return the number of pieces that a delegate gets, divided as LiteRT's interpreter does.

    Args:
        operators: Operators in the order of computation, each with ``inputs`` and ``outputs``.
        taken: True for those that the delegate takes.
    """
    left, pieces = list(range(len(operators))), 0
    for kind in itertools.cycle((True, False)):
        if not left:
            break
        waiting = {int(tensor) for place in left for tensor in operators[place].outputs}
        behind: list[int] = []
        for place in left:
            operator = operators[place]
            if taken[place] is kind and waiting.isdisjoint(map(int, operator.inputs)):
                waiting -= set(map(int, operator.outputs))
            else:
                behind.append(place)
        pieces += kind and len(behind) < len(left)
        left = behind
    return pieces


def _is_constant(model: Any, graph: Any, operator: Any) -> bool:
    return all(operand.constant for operand in _operands(model, graph, operator.inputs))


def _operands(model: Any, graph: Any, tensors: Any) -> list[Operand]:
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    given = [graph.tensors[int(tensor)] for tensor in tensors if tensor >= 0]
    return [
        Operand(names[tensor.type], 0 if tensor.shape is None else len(tensor.shape), _is_stored(model, tensor))
        for tensor in given
    ]


def _is_stored(model: Any, tensor: Any) -> bool:
    data = model.buffers[tensor.buffer].data
    return data is not None and len(data) > 0
