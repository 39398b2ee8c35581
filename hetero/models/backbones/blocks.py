"""Layers that the model families share."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from hetero.models.stage import Activation

_ACTIVATIONS: Mapping[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hardswish": nn.Hardswish,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
}


def activation_layer(name: Activation) -> nn.Module:
    """Return a new layer of this activation."""
    return _ACTIVATIONS[name]()


class ConvNorm(nn.Sequential):
    """Convolution without bias, batch norm and (optionally) an activation; its scale may start at zero."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        activation: nn.Module | None = None,
        start_at_zero: bool = False,
    ) -> None:
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        norm = nn.BatchNorm2d(outputs)
        if start_at_zero:
            nn.init.zeros_(norm.weight)
        super().__init__(convolution, norm, *([activation] if activation is not None else []))


class GeneralisedMean(nn.Module):
    """GeM pooling: ``mean(x^p)^(1/p)`` over positions, p learnt (Radenovic et al., arXiv 1711.02512, equation 3)."""

    def __init__(self, power: float = 3.0, floor: float = 1e-4) -> None:
        super().__init__()
        self.power = nn.Parameter(torch.tensor(power))
        self.floor = floor

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
        """Pool a feature map to one vector per image."""
        return features.clamp(min=self.floor).pow(self.power).mean(dim=(2, 3)).pow(1.0 / self.power)

    def by_power(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
        """Return the derivative of each pooled value with respect to p."""
        values, p = features.clamp(min=self.floor), self.power.detach()
        powers = values.pow(p)
        mean = powers.mean(dim=(2, 3))
        return mean.pow(1.0 / p) * ((powers * values.log()).mean(dim=(2, 3)) / (p * mean) - mean.log() / p**2)


class AveragePool(nn.Module):
    """Mean over positions."""

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c"]:
        """Pool a feature map to one vector per image."""
        return features.mean(dim=(2, 3))


class SqueezeExcite(nn.Module):
    """Channel re-weighting with a hard sigmoid (MobileNetV3, arXiv 1905.02244, section 5.3)."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        inner = max(8, channels // reduction)
        self.reduce = nn.Conv2d(channels, inner, 1)
        self.expand = nn.Conv2d(inner, channels, 1)

    def forward(self, features: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Scale every channel by a gate between 0 and 1."""
        gate = F.relu(self.reduce(features.mean(dim=(2, 3), keepdim=True)))
        return features * F.hardsigmoid(self.expand(gate))


def unit(vectors: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
    """Scale rows to Euclidean length one; the floor keeps an all-zero row finite.

    Written out, because every export path lowers these operators and not all lower ``F.normalize``.
    """
    return vectors / vectors.square().sum(dim=1, keepdim=True).clamp(min=1e-12).sqrt()
