"""The gradient of each image for a layer's own weights, from the layer's inputs and the gradients of its results."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from hetero.linear.solver.linearised import PER_SAMPLE_AT_ONCE, Weights

MOST_IN_BLOCK = 128
"""Most weights of one output channel of a grouped convolution whose curvature is kept as a full block."""


def sample_gradients(
    layer: nn.Module, names: Sequence[str], inputs: Float[Tensor, "n ..."], gradients: Float[Tensor, "n ..."]
) -> Weights:
    """Return each image's gradient of the layer's weights, [n, ...] by name; only the layer runs, not the network.

    Args:
        layer: The layer, in evaluation mode: each row by itself.
        names: Names of the weights within the layer.
        inputs: Its inputs.
        gradients: Gradients of its results.
    """
    weights = {name: layer.get_parameter(name).detach() for name in names}

    def along(weights: Weights, single: Tensor, gradient: Tensor) -> Tensor:
        return (functional_call(layer, weights, (single[None],))[0] * gradient).sum()

    return vmap(grad(along), in_dims=(None, 0, 0), chunk_size=PER_SAMPLE_AT_ONCE)(weights, inputs, gradients)


def has_blocks(layer: nn.Module) -> bool:
    """Return True if the weights of each output channel of a layer have their own block: grouped convolutions."""
    return isinstance(layer, nn.Conv2d) and layer.groups > 1 and layer.weight[0].numel() <= MOST_IN_BLOCK


def channel_blocks(gradients: Float[Tensor, "n c *rest"]) -> Float[Tensor, "c q q"]:
    """Sum the outer products of each channel's gradient over images."""
    flat = gradients.flatten(start_dim=2)
    return torch.einsum("ncq,ncr->cqr", flat, flat)
