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

from hetero.linear.directions import output_directions
from hetero.linear.linearised import Linearised


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


def kronecker_factors(
    model: Linearised, examples: Sequence[tuple[Tensor, float]], *, draws: int, seed: int = 0
) -> dict[str, Factors]:
    """Compute the factors of every weight that has some, by the weight's name.

    Args:
        model: The network.
        examples: Inputs [n, ...], and the weight of each.
        draws: Directions an image; as many as the dimension make B exact.
        seed: Of the directions.
    """
    named = ((f"{name}.weight".removeprefix("."), layer) for name, layer in model.module.named_modules())
    layers = {name: layer for name, layer in named if has_factors(layer) and name in model.weights}
    sums = {name: _Sums() for name in layers}
    for inputs, weight in examples:
        for batch_number, batch in enumerate(model.batches(inputs)):
            _add(model, layers, sums, batch, weight, draws, seed + batch_number)
    return {name: one.factors() for name, one in sums.items()}


@dataclass
class _Sums:
    inputs: Tensor | float = 0.0
    outputs: Tensor | float = 0.0
    weight: float = 0.0

    def factors(self) -> Factors:
        assert isinstance(self.inputs, Tensor) and isinstance(self.outputs, Tensor)
        return Factors(self.inputs / self.weight, self.outputs)


def _add(
    model: Linearised,
    layers: dict[str, nn.Module],
    sums: dict[str, _Sums],
    batch: Tensor,
    weight: float,
    draws: int,
    seed: int,
) -> None:
    with _recorded(layers) as seen:
        # Weights are frozen: what is differentiated by is the results of the layers.
        outputs = model.module(batch.detach().requires_grad_())
    for name, (before, _) in seen.items():
        rows = _rows(layers[name], before)
        sums[name].inputs += weight * rows.T @ rows
        sums[name].weight += weight * len(rows)
    results = [after for _, after in seen.values()]
    for directions in output_directions(len(outputs), outputs.shape[1], draws, seed=seed, dtype=model.dtype):
        gradients = torch.autograd.grad(outputs, results, directions, retain_graph=True)
        for name, gradient in zip(seen, gradients, strict=True):
            rows = gradient.movedim(1, -1).flatten(end_dim=-2)
            sums[name].outputs += weight * rows.T @ rows


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
