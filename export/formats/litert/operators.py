"""Operators as TFLite files: many converted as one graph, then cut apart.

For a single operator, starting the converter takes longer than converting. In that graph each operator stands between
two convolutions, so that the converter lays out its memory as inside a network; the cut leaves these guards out.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from export.formats.litert import file as litert_file
from hetero.nas.cost.operators import Operator

_GUARD_CHANNELS = 8
_CONVOLUTION = "CONV_2D"


def files_of(operators: Sequence[Operator]) -> list[bytes]:
    """Convert operators together; return each one's file."""
    import litert_torch

    together = _Together(operators)
    converted: Any = litert_torch.convert(together.eval(), together.examples)
    model = litert_file.parse(converted.model_content())
    (signature,) = model.signatureDefs
    inputs, outputs = _by_place(signature.inputs), _by_place(signature.outputs)
    graph = _Graph(model)
    files: list[bytes] = []
    for guarded in together.guarded:
        first = [inputs.pop(0) for _ in guarded.before]
        last = [outputs.pop(0) for _ in guarded.after]
        starts = [graph.behind_guard(t) if guard else t for t, guard in zip(first, guarded.before, strict=True)]
        ends = [graph.before_guard(t) if guard else t for t, guard in zip(last, guarded.after, strict=True)]
        files.append(graph.cut(starts, ends))
    return files


class _Guarded(nn.Module):
    """An operator between convolutions; tensors that are not feature maps have none."""

    def __init__(self, operator: Operator) -> None:
        super().__init__()
        self.operator = operator.module
        with torch.no_grad():
            given = _flat(operator.module(*operator.examples))
        self.before = nn.ModuleList(
            nn.ModuleList([nn.Conv2d(_GUARD_CHANNELS, taken.shape[1], 1)] if _is_map(taken) else [])
            for taken in operator.examples
        )
        self.after = nn.ModuleList(
            nn.ModuleList([nn.Conv2d(each.shape[1], _GUARD_CHANNELS, 1)] if _is_map(each) else []) for each in given
        )
        self.examples = [
            torch.zeros(1, _GUARD_CHANNELS, *taken.shape[2:]) if _is_map(taken) else taken
            for taken in operator.examples
        ]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        taken = [_through(guard, one) for guard, one in zip(self.before, inputs, strict=True)]
        return tuple(_through(guard, one) for guard, one in zip(self.after, _flat(self.operator(*taken)), strict=True))


class _Together(nn.Module):
    """Operators side by side in one graph: all inputs in, all outputs out."""

    def __init__(self, operators: Sequence[Operator]) -> None:
        super().__init__()
        self.guarded: Any = nn.ModuleList(_Guarded(operator) for operator in operators)
        self.examples = tuple(example for guarded in self.guarded for example in guarded.examples)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        outputs: list[Tensor] = []
        start = 0
        for guarded in self.guarded:
            end = start + len(guarded.before)
            outputs += guarded(*inputs[start:end])
            start = end
        return tuple(outputs)


def _is_map(tensor: Tensor) -> bool:
    return tensor.ndim == 4 and tensor.is_floating_point()


def _through(guard: Any, value: Tensor) -> Tensor:
    return guard[0](value) if len(guard) else value


def _flat(value: Any) -> tuple[Tensor, ...]:
    return (value,) if isinstance(value, Tensor) else tuple(value)


def _by_place(named: Iterable[Any]) -> list[int]:
    """Return tensor numbers of ``args_0``, ``args_1``, ... or ``output_0``, ``output_1``, ..., in that order."""
    return [int(one.tensorIndex) for one in sorted(named, key=lambda one: int(_text(one.name).rpartition("_")[2]))]


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


class _Graph:
    """A converted graph from which parts can be cut."""

    def __init__(self, model: Any) -> None:
        self._model = model
        (self._graph,) = model.subgraphs
        self._maker = {int(tensor): one for one in self._graph.operators for tensor in one.outputs}

    def behind_guard(self, tensor: int) -> int:
        """Return the output of the first convolution after an input."""
        while True:
            (taker,) = [operator for operator in self._graph.operators if tensor in operator.inputs]
            tensor = int(taker.outputs[0])
            if litert_file.operator_name(self._model, taker) == _CONVOLUTION:
                return tensor

    def before_guard(self, tensor: int) -> int:
        """Return the input of the last convolution before an output."""
        while True:
            maker = self._maker[tensor]
            tensor = int(maker.inputs[0])
            if litert_file.operator_name(self._model, maker) == _CONVOLUTION:
                return tensor

    def cut(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Return the part between some tensors as a file."""
        needed, waiting = set[int](), [*outputs]
        while waiting:
            tensor = waiting.pop()
            if tensor not in inputs and tensor in self._maker and id(self._maker[tensor]) not in needed:
                needed.add(id(self._maker[tensor]))
                waiting += map(int, self._maker[tensor].inputs)
        return self._only([operator for operator in self._graph.operators if id(operator) in needed], inputs, outputs)

    def _only(self, operators: Sequence[Any], inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Return a file with these operators, and the tensors and buffers that they need."""
        tensors = {
            int(tensor) for operator in operators for tensor in (*operator.inputs, *operator.outputs) if tensor >= 0
        }
        tensor_numbers = sorted(tensors | {*inputs, *outputs})
        number = {tensor: place for place, tensor in enumerate(tensor_numbers)} | {-1: -1}
        part, small = copy.copy(self._graph), copy.copy(self._model)
        part.tensors = [copy.copy(self._graph.tensors[tensor]) for tensor in tensor_numbers]
        small.buffers = [self._model.buffers[0], *(self._model.buffers[tensor.buffer] for tensor in part.tensors)]
        for place, tensor in enumerate(part.tensors):
            tensor.buffer = place + 1
        part.operators = [copy.copy(operator) for operator in operators]
        for operator in part.operators:
            operator.inputs = np.array([number[int(tensor)] for tensor in operator.inputs], np.int32)
            operator.outputs = np.array([number[int(tensor)] for tensor in operator.outputs], np.int32)
        part.inputs = np.array([number[tensor] for tensor in inputs], np.int32)
        part.outputs = np.array([number[tensor] for tensor in outputs], np.int32)
        small.subgraphs, small.signatureDefs, small.metadata = [part], [], []
        return litert_file.pack(small)
