"""The operators of a layer as a runtime executes them: the keys by which latency is measured and looked up.

A convolution counts together with the batch norm and activation that follow it, since runtimes fuse them;
squeeze-excite is one operator; everything between two of these (a residual sum, a split, a channel shuffle) is one
operator together. A block that cannot be traced is one operator as a whole.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.passes.split_module import split_module

from hetero.models.backbones.blocks import ConvNorm, SqueezeExcite
from hetero.nas.cost.layers import HEAD, PIXELS, Layer

_WHOLE = (ConvNorm, SqueezeExcite)
_ALONE = (PIXELS, HEAD)


@dataclass(frozen=True)
class Operator:
    """One operator with its inputs.

    Attributes:
        name: Its work and the shapes of its inputs: the key of a latency table.
        module: Computes it; its weights do not matter.
        examples: Example inputs.
    """

    name: str
    module: nn.Module
    examples: tuple[Tensor, ...]


@functools.cache
def operator_names(layer: Layer) -> tuple[str, ...]:
    """Return the names of the operators of a layer, in order; a name may occur several times."""
    module, example = layer.build(), _example(layer)
    graph = _traced(layer, module)
    return (_whole_name(layer, module, example),) if graph is None else _Parts(graph, example).names


def distinct_operators(layers: Iterable[Layer]) -> dict[str, Operator]:
    """Return every operator of some layers, once, by name."""
    operators: dict[str, Operator] = {}
    for layer in dict.fromkeys(layers):
        if not operators.keys() >= set(operator_names(layer)):
            operators = {operator.name: operator for operator in _operators(layer)} | operators
    return operators


def _operators(layer: Layer) -> list[Operator]:
    module, example = layer.build(), _example(layer)
    graph = _traced(layer, module)
    if graph is None:
        return [Operator(_whole_name(layer, module, example), module, (example,))]
    return _Parts(graph, example).operators()


def _example(layer: Layer) -> Tensor:
    return torch.zeros(layer.input_shape, dtype=torch.uint8 if layer.kind == PIXELS else torch.float32)


def _traced(layer: Layer, module: nn.Module) -> fx.GraphModule | None:
    """Trace the layer to a graph; return None for a layer that is an operator as a whole."""
    if layer.kind in _ALONE or isinstance(module, _WHOLE):
        return None
    try:
        return fx.GraphModule(module, _Tracer().trace(module))
    except Exception:  # a user's own block may fail in any way when traced
        return None


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return True if a module is an operator, and not traced further."""
        return isinstance(m, _WHOLE) or super().is_leaf_module(m, module_qualified_name)


class _Parts:
    """A graph cut before and after each module that is an operator by itself."""

    def __init__(self, graph: fx.GraphModule, example: Tensor) -> None:
        self._graph, self._example = graph, example
        values = _Values(graph)
        with torch.no_grad():
            values.run(example)
        self._part_of: dict[fx.Node, int] = {}
        parts: list[list[fx.Node]] = []
        together = False
        for node in graph.graph.nodes:
            if node.op in ("placeholder", "output"):
                continue
            alone = node.op == "call_module" and not isinstance(_module(graph, node), nn.Identity)
            if alone or not together:
                parts.append([])
            parts[-1].append(node)
            together = not alone
            self._part_of[node] = len(parts) - 1
        self.names = tuple(_name(" + ".join(self._words(part)), values.inputs_of(part)) for part in parts)

    def operators(self) -> list[Operator]:
        """Return each part as a module with its input tensors."""
        graph = split_module(self._graph, self._graph, lambda node: self._part_of[node])
        operators: list[Operator] = []
        hooks: list[Any] = []
        for title, part in graph.named_children():
            # The parts are not listed in the order in which they were cut, but are numbered by it.
            name = self.names[int(title.rpartition("_")[2])]
            hooks.append(part.register_forward_pre_hook(_recorder(name, operators)))
        with torch.no_grad():
            graph(self._example)
        for hook in hooks:
            hook.remove()
        return operators

    def _words(self, part: Sequence[fx.Node]) -> list[str]:
        """Describe a part: its module, or its functions with their constants."""
        words: list[str] = []
        for node in part:
            if node.op == "call_module":
                words.append(_one_line(_module(self._graph, node)))
            else:
                target = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "function")
                constants = [str(value) for value in (*node.args, *node.kwargs.values()) if not _has_node(value)]
                words.append(f"{target}({', '.join(constants)})")
        return words


class _Values(fx.Interpreter):
    """Runs a graph and remembers every shape."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self._shapes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        """Run one node."""
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self._shapes[n] = tuple(value.shape)
        return value

    def inputs_of(self, part: Sequence[fx.Node]) -> list[tuple[int, ...]]:
        """Return the shapes of the tensors that enter a part."""
        inside = set(part)
        inputs = dict.fromkeys(source for node in part for source in node.all_input_nodes if source not in inside)
        return [self._shapes[node] for node in inputs if node in self._shapes]


def _recorder(name: str, operators: list[Operator]) -> Any:
    return lambda module, inputs: operators.append(Operator(name, module, tuple(inputs)))


def _module(graph: fx.GraphModule, node: fx.Node) -> nn.Module:
    return graph.get_submodule(str(node.target))


def _whole_name(layer: Layer, module: nn.Module, example: Tensor) -> str:
    if isinstance(module, _WHOLE):
        return _name(_one_line(module), [tuple(example.shape)])
    through = f"{layer.principal} to " if layer.principal else ""
    detail = f"{layer.inputs} to {through}{layer.outputs}, stride {layer.stride}, {layer.pool or layer.stage}"
    return _name(f"{layer.kind} {detail}", [tuple(example.shape)])


def _name(words: str, shapes: Sequence[tuple[int, ...]]) -> str:
    return f"{words} @ {', '.join('x'.join(map(str, shape[1:])) for shape in shapes)}"


def _one_line(module: nn.Module) -> str:
    text = re.sub(r"\(\w+\): |, eps=.*?track_running_stats=True", "", repr(module))
    return re.sub(r"\s+", " ", text)


def _has_node(value: object) -> bool:
    return isinstance(value, fx.Node) or (isinstance(value, (list, tuple)) and any(map(_has_node, value)))
