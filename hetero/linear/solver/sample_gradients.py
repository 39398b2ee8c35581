"""The gradient of each image for a layer's own weights, from the layer's inputs and the gradients of its results."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from hetero.linear.solver.linearised import PER_SAMPLE_AT_ONCE, Weights
from hetero.models.backbones.blocks import GeneralisedMean

MOST_IN_BLOCK = 128
"""Most weights of one output channel of a grouped convolution whose curvature is kept as a full block."""


def sample_gradients(
    layer: nn.Module, names: Sequence[str], inputs: Float[Tensor, "n ..."], gradients: Float[Tensor, "n ..."]
) -> Weights:
    """Return each image's gradient of the layer's weights, [n, ...] by name; at most the layer runs.

    Args:
        layer: The layer, in evaluation mode: each row by itself.
        names: Names of the weights within the layer.
        inputs: Its inputs.
        gradients: Gradients of its results.
    """
    closed = {name: _closed(layer, name, inputs, gradients) for name in names}
    known = {name: values for name, values in closed.items() if values is not None}
    others = [name for name in names if name not in known]
    return known | (_differentiated(layer, others, inputs, gradients) if others else {})


def is_plain(layer: nn.Conv2d) -> bool:
    """Return True if a convolution pads with zeros as its settings say; a subclass may do otherwise."""
    return (
        type(layer).forward is nn.Conv2d.forward
        and not isinstance(layer.padding, str)
        and layer.padding_mode == "zeros"
    )


def patches(layer: nn.Conv2d, inputs: Float[Tensor, "n c h w"]) -> Float[Tensor, "n a t"]:
    """Return what the weights of a plain convolution are multiplied with, a column a position."""
    assert not isinstance(layer.padding, str)
    return F.unfold(inputs, layer.kernel_size, layer.dilation, layer.padding, layer.stride)


def _closed(layer: nn.Module, name: str, inputs: Tensor, gradients: Tensor) -> Tensor | None:
    """Return the gradients of weights that have a closed form; None for others."""
    if isinstance(layer, nn.Linear) and name == "bias":
        return _summed(gradients.movedim(-1, 1))
    if isinstance(layer, nn.Conv2d) and name == "bias":
        return _summed(gradients)
    if isinstance(layer, nn.Conv2d):
        if not is_plain(layer) or not layer.groups == layer.in_channels == layer.out_channels:
            return None
        columns = patches(layer, inputs).unflatten(1, (layer.groups, -1))
        weighted = torch.einsum("ncqt,nct->ncq", columns, gradients.flatten(start_dim=2))
        return weighted.view(len(inputs), *layer.weight.shape)
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.running_mean is not None:
        if name == "weight":
            gradients = gradients * F.batch_norm(inputs, layer.running_mean, layer.running_var, eps=layer.eps)
        return _summed(gradients)
    if isinstance(layer, GeneralisedMean):
        return (gradients * layer.by_power(inputs)).sum(dim=1)
    return None


def _summed(gradients: Float[Tensor, "n c *positions"]) -> Float[Tensor, "n c"]:
    return gradients.reshape(*gradients.shape[:2], -1).sum(dim=2)


def _differentiated(layer: nn.Module, names: Sequence[str], inputs: Tensor, gradients: Tensor) -> Weights:
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
