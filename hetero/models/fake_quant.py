"""Fake quantisation: a model computes in float what its int8 file will compute, and gradients ignore the rounding.

Follows Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference"
(arXiv 1712.05877, section 3): weights are folded with their batch norm, with a scale for each channel; activations have
a range for each tensor.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.hooks import RemovableHandle

from hetero.models.model import EmbeddingModel

Layer = nn.Conv2d | nn.Linear
Norm = nn.BatchNorm1d | nn.BatchNorm2d

_WEIGHT_LIMIT = 127
_FIRST, _LAST = -128, 127
_SMALLEST_SCALE = 1e-8


@dataclass(frozen=True)
class _Range:
    """The int8 grid of one tensor."""

    scale: float
    zero_point: int

    @classmethod
    def over(cls, low: float, high: float) -> _Range:
        """Return the grid of values between two limits; it always includes zero, since padding needs it."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = max((high - low) / (_LAST - _FIRST), _SMALLEST_SCALE)
        return cls(scale, min(max(round(_FIRST - low / scale), _FIRST), _LAST))

    def round(self, values: Tensor) -> Tensor:
        return torch.fake_quantize_per_tensor_affine(values, self.scale, self.zero_point, _FIRST, _LAST)


class _Folded(nn.Module):
    """A weight as in the int8 file: folded with its batch norm, rounded, and unfolded again."""

    def __init__(self, norm: Norm | None) -> None:
        super().__init__()
        # In a tuple, so that the norm's own weights are not listed twice.
        self._norm = (norm,)

    def forward(self, weight: Float[Tensor, "o ..."]) -> Float[Tensor, "o ..."]:
        (norm,) = self._norm
        gain = torch.ones_like(weight[(slice(None), *[0] * (weight.dim() - 1))])
        if norm is not None and norm.running_var is not None:
            gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        gain = gain.view(-1, *[1] * (weight.dim() - 1))
        folded = weight * gain
        scale = (folded.detach().flatten(1).abs().amax(dim=1) / _WEIGHT_LIMIT).clamp(min=_SMALLEST_SCALE)
        zeros = torch.zeros_like(scale, dtype=torch.int32)
        rounded = torch.fake_quantize_per_channel_affine(folded, scale, zeros, 0, -_WEIGHT_LIMIT, _WEIGHT_LIMIT)
        # A channel that its norm switches off has no weight to unfold.
        return torch.where(gain.abs() > _SMALLEST_SCALE, rounded / gain, weight)


@contextlib.contextmanager
def fake_quantised(model: EmbeddingModel, images: UInt8[Tensor, "n h w 3"]) -> Generator[None]:
    """Let a model compute as its int8 file will, inside the block; its architecture does not change.

    Batch norms keep their statistics, since the file has them folded into the weights.

    Args:
        model: A model on the CPU.
        images: uint8 [n, h, w, 3], on which the model measures activation ranges when the block begins.
    """
    pairs = dict(layers_with_norms(model))
    ranges = _observe(model, images, _quantised_outputs(model, pairs))
    handles: list[RemovableHandle] = [
        module.register_forward_hook(lambda _module, _inputs, output, grid=grid: grid.round(output))
        for module, grid in ranges.outputs.items()
    ]
    handles.append(model.backbone.register_forward_pre_hook(lambda _module, inputs: (ranges.pixels.round(inputs[0]),)))
    handles += [norm.register_forward_pre_hook(_keep_statistics) for norm in pairs.values() if norm is not None]
    for layer, norm in pairs.items():
        parametrize.register_parametrization(layer, "weight", _Folded(norm))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for layer in pairs:
            _restore(layer)


def layers_with_norms(model: nn.Module) -> Iterator[tuple[Layer, Norm | None]]:
    """Yield every layer with weights, with the batch norm that directly follows it, if any."""
    for parent in model.modules():
        children = list(parent.children())
        for place, child in enumerate(children):
            if isinstance(child, Layer):
                after = children[place + 1] if place + 1 < len(children) else None
                yield child, after if isinstance(after, Norm) else None


@dataclass(frozen=True)
class _Ranges:
    pixels: _Range
    outputs: dict[nn.Module, _Range]


def _quantised_outputs(model: EmbeddingModel, pairs: dict[Layer, Norm | None]) -> list[nn.Module]:
    """Return the modules whose results an int8 file rounds: all but layers before a norm, and mere containers."""
    folded = {layer for layer, norm in pairs.items() if norm is not None}
    passes = (nn.Identity, nn.Sequential, nn.Dropout, EmbeddingModel)
    return [module for module in model.modules() if module not in folded and not isinstance(module, passes)]


def _observe(model: EmbeddingModel, images: UInt8[Tensor, "n h w 3"], modules: list[nn.Module]) -> _Ranges:
    """Measure the ranges of the modules' results and of the pixels over the images."""
    limits: dict[nn.Module, tuple[float, float]] = {}

    def look(module: nn.Module, _inputs: object, output: Tensor) -> None:
        low, high = limits.get(module, (float("inf"), float("-inf")))
        limits[module] = (min(low, float(output.min())), max(high, float(output.max())))

    handles = [module.register_forward_hook(look) for module in modules]
    model.eval()
    try:
        with torch.no_grad():
            pixels = model.pixels(images)
            model.embed_normalised(pixels)
    finally:
        for handle in handles:
            handle.remove()
    grids = {module: _Range.over(*limit) for module, limit in limits.items()}
    return _Ranges(_Range.over(float(pixels.min()), float(pixels.max())), grids)


def _keep_statistics(norm: nn.Module, _inputs: object) -> None:
    norm.training = False


def _restore(layer: Layer) -> None:
    """Remove the rounding, and keep the trained weight."""
    parametrization: Any = layer.parametrizations
    trained: Tensor = parametrization.weight.original.detach().clone()
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    with torch.no_grad():
        layer.weight.copy_(trained)
