"""The Kronecker factors of a layer's block of J'J: A of its inputs, B of what outputs say about its results.

Martens and Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature" (arXiv 1503.05671), and
for convolutions Grosse and Martens (arXiv 1602.01573). B is of back-propagated output directions, not of gradients of a
loss: it is Gauss-Newton's, and does not change while the weights stay where they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hetero.linear.solver.directions import output_directions
from hetero.linear.solver.linearised import Linearised, Weights
from hetero.linear.solver.sample_gradients import channel_blocks, has_blocks, sample_gradients


@dataclass(frozen=True)
class Factors:
    """A block of sum_i weight_i J_i'J_i, approximately B times A, by Kronecker.

    Attributes:
        inputs: A [a, a], mean of outer products of a layer's inputs, over images and positions.
        outputs: B [b, b], sum over images and positions of outer products of directions.
    """

    inputs: Float[Tensor, "a a"]
    outputs: Float[Tensor, "b b"]


def has_factors(layer: nn.Module) -> bool:
    """True if a layer's weight has Kronecker factors: linear layers, and plain convolutions that mix all channels."""
    if isinstance(layer, nn.Conv2d):
        # One with a forward pass of its own may pad in ways that are not known here.
        plain = type(layer).forward is nn.Conv2d.forward and not isinstance(layer.padding, str)
        return plain and layer.groups == 1 and layer.padding_mode == "zeros"
    return isinstance(layer, nn.Linear)


@dataclass(frozen=True)
class Layerwise:
    """What is known of J'J without looking beyond a layer, by weight; each weight is in one of these, or in none.

    Attributes:
        factors: Of linear layers and convolutions that mix all channels.
        blocks: [c, q, q], of grouped convolutions: a block for each output channel and its q weights.
        diagonals: Of what else a layer has.
    """

    factors: dict[str, Factors]
    blocks: Weights
    diagonals: Weights


def layerwise(model: Linearised, examples: Sequence[tuple[Tensor, float]], *, draws: int, seed: int = 0) -> Layerwise:
    """Compute what layers say of the curvature; the network is run once, backwards as often as there are draws.

    Args:
        model: The network.
        examples: Inputs [n, ...], and the weight of each.
        draws: Directions an image; as many as the dimension make B, blocks and diagonals exact.
        seed: Of the directions.
    """
    layers = {name: found for name, layer in model.module.named_modules() if (found := _Layer.of(model, name, layer))}
    for inputs, weight in examples:
        for batch_number, batch in enumerate(model.batches(inputs)):
            _add(model, layers, batch, weight, draws, seed + batch_number)
    seen = [layer for layer in layers.values() if layer.weight]
    return Layerwise(
        {name: Factors(layer.inputs / layer.weight, layer.outputs) for layer in seen for name in layer.factored},
        {name: total for layer in seen for name, total in layer.blocks.items()},
        {name: total for layer in seen for name, total in layer.diagonals.items()},
    )


@dataclass
class _Layer:
    """A layer with weights that may change, and the sums over its images so far."""

    layer: nn.Module
    prefix: str
    factored: tuple[str, ...]
    others: tuple[str, ...]
    inputs: Tensor
    outputs: Tensor
    blocks: Weights
    diagonals: Weights
    weight: float = 0.0

    @classmethod
    def of(cls, model: Linearised, name: str, layer: nn.Module) -> _Layer | None:
        prefix = f"{name}." if name else ""
        own = [each for each, _ in layer.named_parameters(recurse=False) if prefix + each in model.weights]
        factored = ("weight",) if has_factors(layer) and "weight" in own else ()
        others = tuple(each for each in own if each not in factored)
        zero = torch.zeros((), dtype=model.dtype)
        names = tuple(prefix + each for each in factored)
        return cls(layer, prefix, names, others, zero, zero, {}, {}) if own else None

    def take(self, inputs: Tensor, weight: float) -> None:
        """Add what the layer took."""
        count = len(inputs)
        if self.factored:
            rows = _rows(self.layer, inputs)
            self.inputs = self.inputs + weight * rows.T @ rows
            count = len(rows)
        self.weight += weight * count

    def hear(self, inputs: Tensor, gradient: Tensor, weight: float) -> None:
        """Add what is said of its results."""
        if self.factored:
            rows = gradient.movedim(1, -1).flatten(end_dim=-2)
            self.outputs = self.outputs + weight * rows.T @ rows
        if not self.others:
            return
        for each, found in sample_gradients(self.layer, self.others, inputs, gradient).items():
            name = self.prefix + each
            if each == "weight" and has_blocks(self.layer):
                self.blocks[name] = self.blocks.get(name, 0) + weight * channel_blocks(found)
            else:
                self.diagonals[name] = self.diagonals.get(name, 0) + weight * found.square().sum(dim=0)


def _add(model: Linearised, layers: dict[str, _Layer], batch: Tensor, weight: float, draws: int, seed: int) -> None:
    with _recorded({name: one.layer for name, one in layers.items()}) as seen:
        # Weights are frozen: what is differentiated by is the results of the layers.
        outputs = model.module(batch.detach().requires_grad_())
    for name, (before, _) in seen.items():
        layers[name].take(before, weight)
    results = [after for _, after in seen.values()]
    for directions in output_directions(len(outputs), outputs.shape[1], draws, seed=seed, dtype=model.dtype):
        gradients = torch.autograd.grad(outputs, results, directions, retain_graph=True)
        for (name, (before, _)), gradient in zip(seen.items(), gradients, strict=True):
            layers[name].hear(before, gradient, weight)


@contextlib.contextmanager
def _recorded(layers: dict[str, nn.Module]) -> Generator[dict[str, tuple[Tensor, Tensor]]]:
    """Inputs and results of the layers in the forward pass inside the block."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def noting(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def note(_layer: nn.Module, inputs: tuple[Tensor, ...], result: Tensor) -> None:
            seen[name] = (inputs[0].detach(), result)

        return note

    handles = [layer.register_forward_hook(noting(name)) for name, layer in layers.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _rows(layer: nn.Module, inputs: Tensor) -> Float[Tensor, "r a"]:
    """What a weight is multiplied with, a row an image and position."""
    if isinstance(layer, nn.Conv2d):
        padding, dilation, stride = layer.padding, layer.dilation, layer.stride
        assert not isinstance(padding, str)
        return F.unfold(inputs, layer.kernel_size, dilation, padding, stride).movedim(1, -1).flatten(end_dim=1)
    return inputs.flatten(end_dim=-2)
