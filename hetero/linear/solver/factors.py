"""The Kronecker factors of a layer's block of J'J: A from its inputs, B from output directions at its results.

Martens and Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature" (arXiv 1503.05671), and
for convolutions Grosse and Martens (arXiv 1602.01573). B is computed from back-propagated output directions, not from
gradients of a loss: it is Gauss-Newton's, and does not change while the weights stay fixed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hetero.linear.solver.directions import output_directions
from hetero.linear.solver.linearised import Linearised, Weights
from hetero.linear.solver.sample_gradients import channel_blocks, has_blocks, is_plain, patches, sample_gradients


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
    """Return True if a layer's weight has factors: linear layers, and plain convolutions that mix all channels."""
    if isinstance(layer, nn.Conv2d):
        return is_plain(layer) and layer.groups == 1
    return isinstance(layer, nn.Linear)


@dataclass(frozen=True)
class Layerwise:
    """The curvature J'J within single layers, by weight; each weight is in one of these kinds, or in none.

    Attributes:
        factors: Factors of linear layers and convolutions that mix all channels.
        blocks: [c, q, q], for grouped convolutions a block for each output channel and its q weights.
        diagonals: Diagonals of a layer's other weights.
    """

    factors: dict[str, Factors]
    blocks: Weights
    diagonals: Weights


def layerwise(model: Linearised, examples: Sequence[tuple[Tensor, float]], *, draws: int, seed: int = 0) -> Layerwise:
    """Compute the curvature within layers; the network runs forwards once, and backwards once a draw.

    Args:
        model: The network.
        examples: Inputs [n, ...], and the weight of each.
        draws: Directions an image; with as many as the dimension, B, blocks and diagonals are exact.
        seed: Seed of the directions.
    """
    modules = model.module.named_modules()
    layers = {name: layer for name, module in modules if (layer := _Layer.of(model, name, module))}
    for inputs, weight in examples:
        for batch_number, batch in enumerate(model.batches(inputs)):
            _add(model, layers, batch, weight, draws, seed + batch_number)
    used = [layer for layer in layers.values() if layer.weight]
    return Layerwise(
        {name: Factors(layer.inputs / layer.weight, layer.outputs) for layer in used for name in layer.factored},
        {name: total for layer in used for name, total in layer.blocks.items()},
        {name: total for layer in used for name, total in layer.diagonals.items()},
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
        own = [local for local, _ in layer.named_parameters(recurse=False) if prefix + local in model.weights]
        factored = ("weight",) if has_factors(layer) and "weight" in own else ()
        others = tuple(local for local in own if local not in factored)
        zero = torch.zeros((), dtype=model.dtype)
        names = tuple(prefix + local for local in factored)
        return cls(layer, prefix, names, others, zero, zero, {}, {}) if own else None

    def add_inputs(self, inputs: Tensor, weight: float) -> None:
        """Add the layer's inputs to the sums."""
        count = len(inputs)
        if self.factored:
            rows = _rows(self.layer, inputs)
            self.inputs = self.inputs + weight * rows.T @ rows
            count = len(rows)
        self.weight += weight * count

    def add_gradient(self, inputs: Tensor, gradient: Tensor, weight: float) -> None:
        """Add the gradient at the layer's results to the sums."""
        if self.factored:
            rows = gradient.movedim(1, -1).flatten(end_dim=-2)
            self.outputs = self.outputs + weight * rows.T @ rows
        if not self.others:
            return
        for local, gradients in sample_gradients(self.layer, self.others, inputs, gradient).items():
            name = self.prefix + local
            if local == "weight" and has_blocks(self.layer):
                self.blocks[name] = self.blocks.get(name, 0) + weight * channel_blocks(gradients)
            else:
                self.diagonals[name] = self.diagonals.get(name, 0) + weight * gradients.square().sum(dim=0)


def _add(model: Linearised, layers: dict[str, _Layer], batch: Tensor, weight: float, draws: int, seed: int) -> None:
    with _recorded({name: layer.layer for name, layer in layers.items()}) as passes:
        # Weights are frozen, so gradients are taken at the results of the layers.
        outputs = model.module(batch.detach().requires_grad_())
    for name, (inputs, _) in passes.items():
        layers[name].add_inputs(inputs, weight)
    results = [result for _, result in passes.values()]
    for directions in output_directions(len(outputs), outputs.shape[1], draws, seed=seed, dtype=model.dtype):
        gradients = torch.autograd.grad(outputs, results, directions, retain_graph=True)
        for (name, (inputs, _)), gradient in zip(passes.items(), gradients, strict=True):
            layers[name].add_gradient(inputs, gradient, weight)


@contextlib.contextmanager
def _recorded(layers: dict[str, nn.Module]) -> Generator[dict[str, tuple[Tensor, Tensor]]]:
    """Record inputs and results of the layers in the forward pass inside the block."""
    passes: dict[str, tuple[Tensor, Tensor]] = {}

    def recorder(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def record(_layer: nn.Module, inputs: tuple[Tensor, ...], result: Tensor) -> None:
            passes[name] = (inputs[0].detach(), result)

        return record

    handles = [layer.register_forward_hook(recorder(name)) for name, layer in layers.items()]
    try:
        yield passes
    finally:
        for handle in handles:
            handle.remove()


def _rows(layer: nn.Module, inputs: Tensor) -> Float[Tensor, "r a"]:
    """Return the vectors that a weight is multiplied with, a row an image and position."""
    if isinstance(layer, nn.Conv2d):
        return patches(layer, inputs).movedim(1, -1).flatten(end_dim=1)
    return inputs.flatten(end_dim=-2)
