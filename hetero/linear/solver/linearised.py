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
        names: Of the weights that may change; None for all that are not frozen.
        dtype: Of weights and outputs, float32 or float64.
        batch_size: Inputs at a time.

    Raises:
        InputError: When there is no weight to change, or none of such a name.
    """

    def __init__(
        self,
        module: nn.Module,
        names: Sequence[str] | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        batch_size: int = 64,
    ) -> None:
        known = dict(module.named_parameters())
        chosen = set(known) if names is None else set(names)
        if missing := sorted(chosen - set(known)):
            raise InputError(f"the network has no weights {', '.join(missing)}")
        if names is None:
            chosen = {name for name in chosen if known[name].requires_grad}
        if not chosen:
            raise InputError("expected weights that may change, found all of them frozen")
        # Other memory formats give jacobians of wrong layout, and training mode silently wrong products.
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.module.to(dtype)
        for value in (*self.module.parameters(), *self.module.buffers()):
            # A copy: weights of one channel count as contiguous in either format.
            value.data = value.data.clone(memory_format=torch.contiguous_format)
        self.weights: Weights = {name: value for name, value in self.module.named_parameters() if name in chosen}
        self.dtype = dtype
        self.batch_size = batch_size

    @property
    def size(self) -> int:
        """Number of weights that may change."""
        return sum(value.numel() for value in self.weights.values())

    def parts(self, change: Float[Tensor, " p"]) -> Weights:
        """A change by weight, each in its weight's shape; views of the vector."""
        pieces = change.split([value.numel() for value in self.weights.values()])
        return {name: piece.view_as(value) for (name, value), piece in zip(self.weights.items(), pieces, strict=True)}

    def joined(self, parts: Mapping[str, Tensor]) -> Float[Tensor, " p"]:
        """The reverse of :meth:`parts`."""
        return torch.cat([parts[name].reshape(-1) for name in self.weights])

    def origin(self, inputs: Float[Tensor, "n ..."]) -> Float[Tensor, "n k"]:
        """Outputs at the weights as they are: f(x; w)."""
        return self.changed(inputs, None)

    def changed(self, inputs: Float[Tensor, "n ..."], change: Float[Tensor, " p"] | None) -> Float[Tensor, "n k"]:
        """Outputs of the network itself, with the change added to its weights: what an ordinary model would answer."""
        moved = {} if change is None else self.parts(self.joined(self.weights) + change)
        with torch.no_grad():
            return torch.cat([functional_call(self.module, moved, (batch,)) for batch in self.batches(inputs)])

    def __call__(self, inputs: Float[Tensor, "n ..."], change: Float[Tensor, " p"]) -> Float[Tensor, "n k"]:
        """f(x; d), not scaled to any length."""
        return self.origin(inputs) + self.forward_product(inputs, change)

    def forward_product(self, inputs: Float[Tensor, "n ..."], change: Float[Tensor, " p"]) -> Float[Tensor, "n k"]:
        """J d, one row an input."""
        tangent = self.parts(change)
        return torch.cat(
            [jvp(self._of_weights(batch), (self.weights,), (tangent,))[1] for batch in self.batches(inputs)]
        )

    def backward_product(self, inputs: Float[Tensor, "n ..."], cotangents: Float[Tensor, "n k"]) -> Float[Tensor, " p"]:
        """J' u, summed over the inputs."""
        total = torch.zeros(self.size, dtype=self.dtype)
        for batch, rows in zip(self.batches(inputs), cotangents.split(self.batch_size), strict=True):
            pull: Callable[[Tensor], tuple[Weights]] = vjp(self._of_weights(batch), self.weights)[1]
            total += self.joined(pull(rows)[0])
        return total

    def gauss_newton_product(self, inputs: Float[Tensor, "n ..."], change: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
        """J'J d, summed over the inputs."""
        return self.backward_product(inputs, self.forward_product(inputs, change))

    def jacobian(self, inputs: Float[Tensor, "n ..."], name: str) -> Float[Tensor, "n k q"]:
        """J, the columns of one weight tensor."""
        answers = vmap(jacrev(self._of_one), in_dims=(None, 0), chunk_size=PER_SAMPLE_AT_ONCE)
        found = answers({name: self.weights[name]}, self._cast(inputs))[name]
        return found.reshape(*found.shape[:2], -1)

    def squared_gradients(
        self,
        inputs: Float[Tensor, "n ..."],
        cotangents: Float[Tensor, "n k"],
        weights: Float[Tensor, " n"],
        names: Sequence[str],
    ) -> Weights:
        """Sum over inputs of ``weights_i (J_i' u_i)^2``, by weight tensor of these names."""
        chosen = {name: self.weights[name] for name in names}
        total = {name: torch.zeros_like(value) for name, value in chosen.items()}
        gradients = vmap(grad(self._along), in_dims=(None, 0, 0))
        pieces = (each.split(PER_SAMPLE_AT_ONCE) for each in (self._cast(inputs), cotangents, weights))
        for batch, rows, share in zip(*pieces, strict=True):
            for name, value in gradients(chosen, batch, rows).items():
                total[name] += torch.tensordot(share, value.square(), dims=1)
        return total

    def batches(self, inputs: Float[Tensor, "n ..."]) -> tuple[Tensor, ...]:
        """The inputs in batches, as the network takes them."""
        return self._cast(inputs).split(self.batch_size)

    def _cast(self, inputs: Tensor) -> Tensor:
        return inputs.to(self.dtype).contiguous()

    def _of_weights(self, inputs: Tensor) -> Callable[[Weights], Tensor]:
        return lambda weights: functional_call(self.module, weights, (inputs,))

    def _of_one(self, weights: Weights, single: Tensor) -> Tensor:
        return functional_call(self.module, weights, (single[None],))[0]

    def _along(self, weights: Weights, single: Tensor, cotangent: Tensor) -> Tensor:
        return (self._of_one(weights, single) * cotangent).sum()
