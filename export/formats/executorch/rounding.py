"""A graph of torch that rounds as its int8 file does, and becomes that file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray
from torch.fx import GraphModule, Interpreter, Node

from export.formats.executorch.lowering import lowered
from export.precision.ranges import Range

_ALIGNMENT, _DESCRIPTION = 128, 700
"""Bytes that a file's constants are aligned to, and about how many describe each."""


class RoundingGraph:
    """A graph in which PT2E's observers mark what becomes int8.

    XNNPACK computes what this does, to the rounding of sums; lowering takes long, so that candidates are compared here.

    Args:
        graph: The result of ``prepare_pt2e``.
    """

    def __init__(self, graph: GraphModule) -> None:
        self.graph = graph

    def __len__(self) -> int:
        """Return about how many bytes its constants take in a file."""
        return sum(_stored(size) for size in self._sizes())

    def set_ranges(self, ranges: Mapping[str, Range]) -> None:
        """Set ranges of values by the name of their operator; those of weights come from the weights."""
        for _, node, observer in observed(self.graph):
            observer(constant(node) if node.op == "get_attr" else torch.tensor(ranges[node.name]))

    def embed(self, images: UInt8[np.ndarray, "n h w 3"]) -> Float32[np.ndarray, "n d"]:
        """Embed images one by one in torch."""
        interpreter = _Rounds(self.graph)
        with torch.no_grad():
            rows = [interpreter.run(torch.from_numpy(images[row : row + 1].copy())) for row in range(len(images))]
        return torch.cat([_only(row) for row in rows]).numpy()

    def lowered(self, image: torch.Tensor, metadata: Mapping[str, str]) -> bytes:
        """Return the file; this graph cannot be used again.

        Args:
            image: uint8 [1, h, w, 3], to trace with.
            metadata: The contract.
        """
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e

        with torch.no_grad():
            return lowered(torch.export.export(convert_pt2e(self.graph), (image,)), metadata)

    def _sizes(self) -> Iterator[int]:
        """Yield the bytes of every constant and of every list of scales."""
        rounded = {node.target: observer for _, node, observer in observed(self.graph) if node.op == "get_attr"}
        for node in self.graph.graph.nodes:
            if node.op == "get_attr":
                value, observer = constant(node), rounded.get(node.target)
                yield value.numel() * (value.element_size() if observer is None else 1)
                if observer is not None and observer.min_val.numel() > 1:
                    yield observer.min_val.numel() * 4


class _Rounds(Interpreter):
    """Runs a graph, and rounds whatever is observed."""

    def __init__(self, graph: GraphModule) -> None:
        super().__init__(graph)
        self._round = {str(node.target): _rounding(observer) for node, _, observer in observed(graph)}
        self._weights = {
            str(node.target): self._round[str(node.target)](constant(source))
            for node, source, _ in observed(graph)
            if source.op == "get_attr"
        }

    def call_module(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Round a weight or a computed value."""
        weights = self._weights.get(target)
        return self._round[target](args[0]) if weights is None else weights


class Recorder(Interpreter):
    """Runs a graph, and keeps the float tensors that its operators compute."""

    def __init__(self, graph: GraphModule) -> None:
        super().__init__(graph)
        self.values: dict[str, NDArray[np.float32]] = {}

    def run_node(self, n: Node) -> Any:
        """Run an operator."""
        value = super().run_node(n)
        if n.op == "call_function" and isinstance(value, torch.Tensor) and value.dtype == torch.float32:
            # A copy: an activation in place writes over the values that it was given.
            self.values[n.name] = value.numpy().copy()
        return value


def observed(graph: GraphModule) -> Iterator[tuple[Node, Node, Any]]:
    """Yield observations: the node, what it observes, and its observer."""
    for node in graph.graph.nodes:
        if node.op == "call_module":
            yield node, node.args[0], graph.get_submodule(node.target)


def constant(node: Node) -> torch.Tensor:
    """Return a weight or a bias."""
    owner: Any = node.graph.owning_module
    path, _, name = str(node.target).rpartition(".")
    return getattr(owner.get_submodule(path), name).detach()


def _rounding(observer: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    scale, zero = observer.calculate_qparams()
    zero, least, most = zero.int(), observer.quant_min, observer.quant_max
    if len(scale) > 1:
        return lambda value: torch.fake_quantize_per_channel_affine(value, scale, zero, observer.ch_axis, least, most)
    return lambda value: torch.fake_quantize_per_tensor_affine(value, scale, zero, least, most)


def _only(given: Any) -> torch.Tensor:
    return given if isinstance(given, torch.Tensor) else given[0]


def _stored(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT + _DESCRIPTION
