"""Products with the Jacobian of the same inputs, again and again: what does not depend on the change is kept."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.func import functional_call, linearize

from hetero.linear.solver.linearised import Linearised, Weights

KEPT_BYTES = 2 << 30
"""Most memory for what is kept."""
KEPT_AT_ONCE = 1024
FEWEST = 64
"""Fewest inputs for which anything is kept: for fewer, finding out what to keep takes longer than it saves."""


class Products:
    """Products with the Jacobian of some inputs.

    What the layers' derivatives depend on is kept for as many inputs as the limit allows, and computed anew in each
    product for the others.

    Args:
        model: The network around its weights.
        inputs: [n, ...], inputs of the network.
        limit: Most bytes to keep.
    """

    def __init__(self, model: Linearised, inputs: Float[Tensor, "n ..."], *, limit: int = KEPT_BYTES) -> None:
        self.model = model
        fitting = limit // _bytes_of(model, inputs[:1]) if len(inputs) >= FEWEST else 0
        self.count = min(len(inputs), fitting)
        """Number of inputs for which something is kept."""
        batches = model.cast(inputs[: self.count]).split(KEPT_AT_ONCE) if self.count else ()
        self._kept = [_Kept(model, batch) for batch in batches]
        self._others = inputs[self.count :]

    def forward(self, change: Float[Tensor, " p"]) -> Float[Tensor, "n k"]:
        """Return J d, one row an input."""
        tangent = self.model.parts(change)
        others = [self.model.forward_product(self._others, change)] if len(self._others) else []
        return torch.cat([kept.forward(tangent) for kept in self._kept] + others)

    def backward(self, cotangents: Float[Tensor, "n k"]) -> Float[Tensor, " p"]:
        """Return J' u, summed over the inputs."""
        total = self.model.backward_product(self._others, cotangents[self.count :])
        for kept, rows in zip(self._kept, cotangents[: self.count].split(KEPT_AT_ONCE), strict=False):
            total += self.model.joined(kept.backward(rows))
        return total


class _Kept:
    """Both products for some inputs: the network's derivative as a program of its own, and the graph of its outputs."""

    def __init__(self, model: Linearised, inputs: Tensor) -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Attempted to insert a get_attr Node")
            derivative = linearize(model.of_weights(inputs), model.weights)[1]
        self.forward: Callable[[Weights], Tensor] = derivative
        self._weights, self._outputs = _graph(model, inputs)

    def backward(self, cotangents: Tensor) -> Weights:
        pulled = torch.autograd.grad(
            self._outputs, list(self._weights.values()), cotangents, retain_graph=True, materialize_grads=True
        )
        return dict(zip(self._weights, pulled, strict=True))


def _graph(model: Linearised, inputs: Tensor) -> tuple[Weights, Tensor]:
    """Run the network such that its outputs have gradients; return the weights and the outputs."""
    weights = {name: value.detach().requires_grad_() for name, value in model.weights.items()}
    return weights, functional_call(model.module, weights, (inputs,))


def _bytes_of(model: Linearised, inputs: Tensor) -> int:
    """Estimate the memory that is kept for some inputs, beside the weights, which belong to the model."""
    own = {value.untyped_storage().data_ptr() for value in (*model.module.parameters(), *model.module.buffers())}
    sizes: dict[int, int] = {}

    def noted(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(noted, lambda tensor: tensor):
        # A copy, because a view has the storage of all inputs.
        graph = _graph(model, model.cast(inputs).clone())
    del graph
    # The derivative needs what the graph does, and has it to itself.
    return max(1, 2 * sum(sizes.values()))
