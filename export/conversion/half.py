"""Float16 safety: operators that leave float16's range on real images, and a rewrite of the one that usually does.

Phones compute "fp16" models in float16 from end to end, while most desktops widen to float32 and hide the problem.
So every intermediate value of the golden images is compared with float16's range here, in float32, by torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.fx import GraphModule, Interpreter, Node
from torch.fx.node import map_arg

from export.capture.program import capture, module_of
from export.conversion.half_within import coarseness, within

LARGEST = 65504.0
SMALLEST = 2.0**-24
"""The smallest positive number in float16."""
LOST = 1e-2
"""Share of a tensor's length that may vanish before it counts as flushed."""

_aten = torch.ops.aten
_SUMS_OF_SQUARES = {_aten.linalg_vector_norm.default, _aten.norm.ScalarOpt_dim, _aten.norm.Scalar}
_SQUARES = {_aten.square.default, _aten.pow.Tensor_Scalar, _aten.mul.Tensor}
_SUMS = {_aten.sum.dim_IntList, *_SUMS_OF_SQUARES}
_HARMLESS = {
    _aten.sqrt.default,
    _aten.clamp.default,
    _aten.clamp_min.default,
    _aten.expand.default,
    _aten.expand_as.default,
    _aten.add.Tensor,
    _aten.maximum.default,
}
"""Operators between a sum of squares and the division by the length."""


@dataclass(frozen=True)
class Hazard:
    """An operator whose result exceeds float16.

    Attributes:
        operator: For instance ``aten.pow.Tensor_Scalar``.
        name: Name of its node in the graph.
        where: Path of the module that it belongs to; empty at the top.
        kind: ``overflow`` (beyond 65504), ``flush`` (too small to be told from zero) or ``coarse`` (a variance with few
            digits left).
        value: The largest magnitude, the share of the tensor's length that vanishes, or that of the variance.
        images: Number of images on which it occurs.
    """

    operator: str
    name: str
    where: str
    kind: str
    value: float
    images: int

    def __str__(self) -> str:
        place = f"{self.operator} ({self.name}{', in ' + self.where if self.where else ''})"
        if self.kind == "overflow":
            return f"{place} reaches {self.value:.3g} on {self.images} golden images, float16 ends at {LARGEST:.0f}"
        if self.kind == "coarse":
            return f"{place}: its variance is off by {self.value:.0%} on {self.images} golden images in float16"
        return f"{place} loses {self.value:.0%} of its length to zero on {self.images} golden images in float16"


def find_hazards(program: ExportedProgram, images: UInt8[np.ndarray, "n h w 3"]) -> list[Hazard]:
    """Run the images one by one and report each operator whose result leaves float16's range, in graph order."""
    watch = _Watch(program.module())  # pyright: ignore[reportArgumentType]
    with torch.no_grad():
        for image in images:
            watch.run(torch.from_numpy(image[None].copy()))
    return [watch.hazard(key) for key in watch.found]


def make_safe(
    program: ExportedProgram, images: UInt8[np.ndarray, "n h w 3"], example: Tensor, *, any_batch: bool = False
) -> tuple[ExportedProgram, list[Hazard], list[Hazard]]:
    """Rewrite norms if they leave float16's range: rows are divided by their largest magnitude first.

    The result is the same up to rounding, because a unit vector does not depend on its length before.

    Returns:
        The program (unchanged if nothing had to change), the hazards that it had, and the remaining ones.
    """
    hazards = find_hazards(program, images)
    if not hazards:
        return program, [], []
    module: Any = program.module()
    rewritten = [scale_before(module, norm) for norm in list(norms(module))]
    if not rewritten:
        return program, hazards, hazards
    module.recompile()
    safe = capture(module, example, any_batch=any_batch)
    return safe, hazards, find_hazards(safe, images)


@dataclass(frozen=True)
class Norm:
    """A division of rows by their Euclidean length.

    Attributes:
        vectors: The divided vectors.
        division: The operator that divides.
        readers: The operators between that read the vectors.
    """

    vectors: Node
    division: Node
    readers: tuple[Node, ...]


def norms(module: GraphModule) -> Iterator[Norm]:
    """Yield every division of rows by their own length, in any notation."""
    for node in module.graph.nodes:
        if node.op == "call_function" and node.target == _aten.div.Tensor and isinstance(node.args[1], Node):
            vectors = node.args[0]
            readers = [reader for reader in _behind(node.args[1]) if vectors in reader.all_input_nodes]
            if isinstance(vectors, Node) and readers and all(_squares(reader, vectors) for reader in readers):
                yield Norm(vectors, node, tuple(readers))


def scale_before(module: GraphModule, norm: Norm) -> Norm:
    """Put a division by each row's largest magnitude in front of a norm."""
    graph, vectors = module.graph, norm.vectors
    with graph.inserting_after(vectors):
        magnitude = graph.call_function(_aten.abs.default, (vectors,))
    with graph.inserting_after(magnitude):
        largest = graph.call_function(_aten.amax.default, (magnitude, [1], True))
    with graph.inserting_after(largest):
        # An all-zero row remains finite; float16's smallest normal number survives the conversion.
        floored = graph.call_function(_aten.clamp.default, (largest, 2.0**-14))
    with graph.inserting_after(floored):
        scaled = graph.call_function(_aten.div.Tensor, (vectors, floored))
    for reader in (norm.division, *norm.readers):
        reader.replace_input_with(vectors, scaled)
    return norm


def _behind(node: Node) -> Iterator[Node]:
    """Yield a divisor and its inputs, back to the squares."""
    yield node
    if node.op == "call_function" and node.target in _HARMLESS | {_aten.sum.dim_IntList}:
        for source in node.all_input_nodes:
            yield from _behind(source)


def _squares(reader: Node, vectors: Node) -> bool:
    """Return True if an operator squares the vectors, or sums their squares."""
    if reader.target == _aten.pow.Tensor_Scalar:
        return bool(reader.args[1] == 2)
    if reader.target == _aten.mul.Tensor:
        return all(argument is vectors for argument in reader.args[:2])
    # ``expand_as`` reads only the shape of the vectors.
    return reader.target in _SUMS_OF_SQUARES | {_aten.square.default, _aten.expand_as.default}


class _Watch(Interpreter):
    """An interpreter that records operators whose results leave float16's range."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__(module)  # pyright: ignore[reportArgumentType]
        self.found: dict[tuple[str, str], list[float]] = {}
        self._nodes: dict[str, Node] = {}

    def run_node(self, n: Node) -> Any:
        """Compute one operator, and examine its result."""
        result = super().run_node(n)
        if n.op == "call_function" and isinstance(result, Tensor) and result.is_floating_point():
            self._nodes[n.name] = n
            args, kwargs = map_arg((n.args, n.kwargs), self.env.__getitem__)
            for kind, value in _look(n.target, result, args, kwargs):
                self.found.setdefault((n.name, kind), []).append(value)
        return result

    def hazard(self, key: tuple[str, str]) -> Hazard:
        node, values = self._nodes[key[0]], self.found[key]
        return Hazard(str(node.target), node.name, module_of(node), key[1], max(values), len(values))


def _look(target: Any, result: Tensor, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Return the hazard of an operator's result, if it leaves float16's range."""
    tensors = [result, *within(target, result, args, kwargs)]
    # A norm's result is a root, but the powers under it vanish sooner; a score or a variance of zero says nothing.
    roots = tensors[1:] if target in _SUMS_OF_SQUARES and len(tensors) > 1 else [result]
    largest = max((float(tensor.abs().max()) for tensor in tensors if tensor.numel()), default=0.0)
    if not largest <= LARGEST:
        yield "overflow", largest
    elif (share := max(_lost(tensor) for tensor in roots)) > LOST:
        yield "flush", share
    elif (share := coarseness(target, args, kwargs)) > LOST:
        yield "coarse", share


def _lost(tensor: Tensor) -> float:
    """Return the share of a tensor's length in values that float16 rounds to zero."""
    length = float(tensor.double().norm())
    return float(torch.where(tensor.abs() < SMALLEST, tensor, 0.0).double().norm()) / length if length else 0.0
