"""A model as a linear function of a change of its weights: f(x; d) = f(x; w) + J(x) d."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, jvp, vjp, vmap

from hetero.errors import InputError

Weights = dict[str, Tensor]
PER_SAMPLE_AT_ONCE = 16


class Linearised:
    """A network around its weights ``w``, in evaluation mode: batch norms keep their statistics, nothing is dropped.

    A change ``d`` of the chosen weights is one vector, the weights laid out one after another in the network's order.

    Args:
        module: Maps inputs [n, ...] to outputs [n, k]; each row by itself. It is copied.
        names: Names of the weights that may change; None for all that are not frozen.
        dtype: Dtype of weights and outputs, float32 or float64.
        batch_size: Inputs at a time.

    Raises:
        InputError: When there is no weight to change, or a name does not exist.
    """

    def __init__(
        self,
        module: nn.Module,
        names: Sequence[str] | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        batch_size: int = 64,
    ) -> None:
        parameters = dict(module.named_parameters())
        chosen = set(parameters) if names is None else set(names)
        if missing := sorted(chosen - set(parameters)):
            raise InputError(f"the network has no weights {', '.join(missing)}")
        if names is None:
            chosen = {name for name in chosen if parameters[name].requires_grad}
        if not chosen:
            raise InputError("expected weights that may change, found all of them frozen")
        # Other memory formats give jacobians of the wrong layout, and training mode silently gives wrong products.
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.module.to(dtype)
        for value in (*self.module.parameters(), *self.module.buffers()):
            # Clone, because weights of one channel count as contiguous in either format.
            value.data = value.data.clone(memory_format=torch.contiguous_format)
        self.weights: Weights = {name: value for name, value in self.module.named_parameters() if name in chosen}
        self.dtype = dtype
        self.batch_size = batch_size

    @property
    def size(self) -> int:
        """Number of weights that may change."""
        return sum(value.numel() for value in self.weights.values())

    def parts(self, change: Float[Tensor, " p"]) -> Weights:
        """Split a change by weight, each in its weight's shape; they are views of the vector."""
        pieces = change.split([value.numel() for value in self.weights.values()])
        return {name: piece.view_as(value) for (name, value), piece in zip(self.weights.items(), pieces, strict=True)}

    def joined(self, parts: Mapping[str, Tensor]) -> Float[Tensor, " p"]:
        """Join the parts of a change to one vector, the reverse of :meth:`parts`."""
        return torch.cat([parts[name].reshape(-1) for name in self.weights])

    def origin(self, inputs: Float[Tensor, "n ..."]) -> Float[Tensor, "n k"]:
        """Return outputs at the original weights: f(x; w)."""
        return self.changed(inputs, None)

    def changed(self, inputs: Float[Tensor, "n ..."], change: Float[Tensor, " p"] | None) -> Float[Tensor, "n k"]:
        """Return outputs of the network itself with the change added to its weights, as of an ordinary model."""
        moved = {} if change is None else self.parts(self.joined(self.weights) + change)
        with torch.no_grad():
            return torch.cat([functional_call(self.module, moved, (batch,)) for batch in self.batches(inputs)])

    def __call__(self, inputs: Float[Tensor, "n ..."], change: Float[Tensor, " p"]) -> Float[Tensor, "n k"]:
        """Return f(x; d), not scaled to any length."""
        return self.origin(inputs) + self.forward_product(inputs, change)

    def forward_product(self, inputs: Float[Tensor, "n ..."], change: Float[Tensor, " p"]) -> Float[Tensor, "n k"]:
        """Return J d, one row an input."""
        tangent = self.parts(change)
        return torch.cat(
            [jvp(self.of_weights(batch), (self.weights,), (tangent,))[1] for batch in self.batches(inputs)]
        )

    def backward_product(self, inputs: Float[Tensor, "n ..."], cotangents: Float[Tensor, "n k"]) -> Float[Tensor, " p"]:
        """Return J' u, summed over the inputs."""
        total = torch.zeros(self.size, dtype=self.dtype)
        for batch, rows in zip(self.batches(inputs), cotangents.split(self.batch_size), strict=True):
            pull: Callable[[Tensor], tuple[Weights]] = vjp(self.of_weights(batch), self.weights)[1]
            total += self.joined(pull(rows)[0])
        return total

    def gauss_newton_product(self, inputs: Float[Tensor, "n ..."], change: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
        """Return J'J d, summed over the inputs."""
        return self.backward_product(inputs, self.forward_product(inputs, change))

    def jacobian(self, inputs: Float[Tensor, "n ..."], name: str) -> Float[Tensor, "n k q"]:
        """Return the columns of J for one weight tensor."""
        jacobians = vmap(jacrev(self._of_one), in_dims=(None, 0), chunk_size=PER_SAMPLE_AT_ONCE)
        columns = jacobians({name: self.weights[name]}, self.cast(inputs))[name]
        return columns.reshape(*columns.shape[:2], -1)

    def squared_gradients(
        self,
        inputs: Float[Tensor, "n ..."],
        cotangents: Float[Tensor, "n k"],
        weights: Float[Tensor, " n"],
        names: Sequence[str],
    ) -> Weights:
        """Sum ``weights_i (J_i' u_i)^2`` over inputs, for each of the named weight tensors."""
        tensors = {name: self.weights[name] for name in names}
        total = {name: torch.zeros_like(value) for name, value in tensors.items()}
        gradients = vmap(grad(self._along), in_dims=(None, 0, 0))
        pieces = (values.split(PER_SAMPLE_AT_ONCE) for values in (self.cast(inputs), cotangents, weights))
        for batch, rows, share in zip(*pieces, strict=True):
            for name, value in gradients(tensors, batch, rows).items():
                total[name] += torch.tensordot(share, value.square(), dims=1)
        return total

    def batches(self, inputs: Float[Tensor, "n ..."]) -> tuple[Tensor, ...]:
        """Split the inputs in batches, in the network's dtype."""
        return self.cast(inputs).split(self.batch_size)

    def cast(self, inputs: Float[Tensor, "n ..."]) -> Float[Tensor, "n ..."]:
        """Return inputs as the network takes them."""
        return inputs.to(self.dtype).contiguous()

    def of_weights(self, inputs: Float[Tensor, "n ..."]) -> Callable[[Weights], Tensor]:
        """Return the network as a function of its weights."""
        return lambda weights: functional_call(self.module, weights, (inputs,))

    def _of_one(self, weights: Weights, single: Tensor) -> Tensor:
        return functional_call(self.module, weights, (single[None],))[0]

    def _along(self, weights: Weights, single: Tensor, cotangent: Tensor) -> Tensor:
        return (self._of_one(weights, single) * cotangent).sum()
