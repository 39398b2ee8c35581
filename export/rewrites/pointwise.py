"""Operators on single numbers and on rows, in terms of others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from torch.nn import functional

from export.rewrites.rewriting import Number, Rewrite, dtype_of, shape_of

_SMALLEST_NORMAL = 2.0**-14
"""The smallest normal number of float16."""
_EXACT_SOFTPLUS = 16
"""From here on softplus equals its argument in float32."""


def rms_norm(x: Any, shape: Sequence[int], weight: Any = None, eps: Number | None = None) -> Any:
    """Divide rows by their largest magnitude first, so that float16 holds their squares, but never by less than eps."""
    root = math.sqrt(torch.finfo(torch.float32).eps if eps is None else eps)
    axes = tuple(range(-len(shape), 0))
    scale = torch.clamp(x.abs().amax(axes, keepdim=True), min=max(root, _SMALLEST_NORMAL))
    scaled = x / scale
    # Not a number divided by a tensor, which becomes a reciprocal.
    share = torch.full_like(scale, root) / scale
    normed = scaled * torch.rsqrt(scaled.square().mean(axes, keepdim=True) + share.square())
    return normed if weight is None else normed * weight


def cosine_similarity(x: Any, y: Any, dim: int = 1, eps: Number = 1e-8) -> Any:
    """Scale by the largest magnitudes first, so that float16 holds the squares; zero for rows of zeros."""
    scaled = [
        vector / torch.clamp(vector.abs().amax(dim, keepdim=True), min=max(eps, _SMALLEST_NORMAL)) for vector in (x, y)
    ]
    lengths = [torch.clamp(vector.square().sum(dim), min=_SMALLEST_NORMAL).sqrt() for vector in scaled]
    return (scaled[0] * scaled[1]).sum(dim) / (lengths[0] * lengths[1])


def celu(x: Any, alpha: Number = 1.0) -> Any:
    """Write CELU as a stretched ELU."""
    return functional.elu(x / alpha) * alpha


def hardshrink(x: Any, bound: Number = 0.5) -> Any:
    """Set values within the bounds to zero."""
    return torch.where(x.abs() > bound, x, torch.zeros_like(x))


def softshrink(x: Any, bound: Number = 0.5) -> Any:
    """Keep only the part beyond the bounds."""
    return x - torch.clamp(x, -bound, bound)


def log_sigmoid(x: Any) -> Any:
    """Go through softplus, which does not take the logarithm of a vanished sigmoid."""
    return -functional.softplus(-x)


def logaddexp(x: Any, y: Any) -> Any:
    """Take the larger one, and add the other's part."""
    return torch.maximum(x, y) + functional.softplus(-(x - y).abs())


def atan2(y: Any, x: Any) -> Any:
    """Take the quadrant from the signs; both zero give zero."""
    angle = torch.atan(y / torch.where(x == 0, torch.ones_like(x), x))
    turned = torch.where(y < 0, angle - math.pi, angle + math.pi)
    upright = torch.sign(y) * (math.pi / 2)
    return torch.where(x > 0, angle, torch.where(x < 0, turned, upright))


def hypot(x: Any, y: Any) -> Any:
    """Scale by the larger one, whose square may overflow; both zero give zero."""
    larger, smaller = torch.maximum(x.abs(), y.abs()), torch.minimum(x.abs(), y.abs())
    share = smaller / torch.where(larger == 0, torch.ones_like(larger), larger)
    return larger * torch.sqrt(1 + share.square())


def exp2(x: Any) -> Any:
    """Raise two to the power."""
    return torch.pow(2.0, x)


def expm1(x: Any) -> Any:
    """Go through the hyperbolic tangent, which keeps small numbers."""
    return torch.tanh(x / 2) * (torch.exp(x) + 1)


def rsqrt(x: Any) -> Any:
    """Divide one by the root; infinite at zero."""
    return reciprocal(torch.sqrt(x))


def sub(x: Any, y: Any, alpha: Number = 1) -> Any:
    """Subtract a multiple."""
    return NotImplemented if alpha == 1 else x - y * alpha


def copysign(x: Any, y: Any) -> Any:
    """Give the magnitude the other's sign; zero counts as positive."""
    return torch.where(y < 0, -x.abs(), x.abs())


def cumprod(x: Any, dim: int) -> Any:
    """Multiply one number after another."""
    parts = [x.select(dim, place) for place in range(shape_of(x)[dim])]
    for place in range(1, len(parts)):
        parts[place] = parts[place - 1] * parts[place]
    return torch.stack(parts, dim)


def prod(x: Any, dim: int, keepdim: bool = False) -> Any:
    """Multiply one factor after another."""
    product = reduce(torch.mul, [x.select(dim, place) for place in range(shape_of(x)[dim])])
    return product.unsqueeze(dim) if keepdim else product


def var_mean(x: Any, dim: Any = None, correction: Number = 1, keepdim: bool = False) -> Any:
    """Compute variance and mean one after the other."""
    return torch.var(x, dim, correction=correction, keepdim=keepdim), torch.mean(x, dim, keepdim=keepdim)


def var_mean_dim(x: Any, dim: Any, unbiased: bool = True, keepdim: bool = False) -> Any:
    """Compute variance and mean one after the other."""
    return var_mean(x, dim, 1 if unbiased else 0, keepdim)


def std(x: Any, dim: Any = None, correction: Number | None = None, keepdim: bool = False) -> Any:
    """Scale by the largest deviation first, so that float16 holds the squares."""
    axes = tuple(range(len(shape_of(x)))) if dim is None else tuple(dim)
    count = math.prod(shape_of(x)[axis] for axis in axes)
    degrees = count - (1 if correction is None else correction)
    if degrees <= 0:
        return NotImplemented
    centred = x - x.mean(axes, keepdim=True)
    scale = torch.clamp(centred.abs().amax(axes, keepdim=True), min=_SMALLEST_NORMAL)
    spread = torch.sqrt((centred / scale).square().mean(axes, keepdim=True) * (count / degrees)) * scale
    return spread if keepdim else spread.squeeze(axes)


def std_dim(x: Any, dim: Any, unbiased: bool = True, keepdim: bool = False) -> Any:
    """Scale by the largest deviation first."""
    return std(x, dim, 1 if unbiased else 0, keepdim)


def trunc(x: Any) -> Any:
    """Round towards zero."""
    return torch.sign(x) * torch.floor(x.abs())


def round_decimals(x: Any, decimals: int) -> Any:
    """Round to multiples of a power of ten, without multiplying large numbers by it."""
    whole = torch.floor(x)
    return whole + torch.round((x - whole) * 10.0**decimals) / 10.0**decimals


def clamp(x: Any, low: Any = None, high: Any = None) -> Any:
    """Clamp with bounds that are tensors."""
    x = x if low is None else torch.maximum(x, low)
    return x if high is None else torch.minimum(x, high)


def softplus(x: Any, beta: Number = 1, threshold: Number = 20) -> Any:
    """Return the number itself beyond the threshold."""
    if threshold >= _EXACT_SOFTPLUS:
        return NotImplemented
    scaled = x * beta
    return torch.where(scaled > threshold, x, functional.softplus(scaled) / beta)


def log_softmax(x: Any, dim: int, dtype: Any = None) -> Any:
    """Avoid the logarithm of a vanished share."""
    shifted = (x if dtype is None else x.to(dtype)) - x.amax(dim, keepdim=True)
    return shifted - torch.log(torch.exp(shifted).sum(dim, keepdim=True))


def reciprocal(x: Any) -> Any:
    """Divide, without adding a number to avoid infinity."""
    return torch.div(torch.ones_like(x), x)


def log(x: Any) -> Any:
    """Return minus infinity at zero."""
    # A ratio, because Core ML's converter replaces a constant infinity by the largest number.
    return torch.where(x == 0, torch.div(torch.full_like(x, -1.0), x.abs()), torch.log(x))


def log2(x: Any) -> Any:
    """Multiply the natural logarithm."""
    return log(x) / math.log(2)


def log10(x: Any) -> Any:
    """Multiply the natural logarithm."""
    return log(x) / math.log(10)


def lerp(x: Any, y: Any, weight: Any) -> Any:
    """Interpolate between two values."""
    return x + (y - x) * weight


def addcmul(x: Any, one: Any, other: Any, value: Number = 1) -> Any:
    """Add a multiple of a product."""
    return x + one * other * value


def addcdiv(x: Any, one: Any, other: Any, value: Number = 1) -> Any:
    """Add a multiple of a ratio."""
    return x + one / other * value


def nan_to_num(x: Any, nan: Number | None = None, posinf: Number | None = None, neginf: Number | None = None) -> Any:
    """Compare, without a constant infinity, which Core ML's converter replaces by the largest number."""
    largest = torch.finfo(torch.float32).max
    values = [nan or 0.0, largest if posinf is None else posinf, -largest if neginf is None else neginf]
    number, above, below = [torch.full_like(x, value) for value in values]
    # Only infinities and NaN differ from themselves by NaN.
    difference = x - x
    replaced = torch.where(x > 0, above, torch.where(x < 0, below, number))
    return torch.where(torch.ne(difference, difference), replaced, x)


def of_truth_values(logical: Any) -> Rewrite:
    """Return a bitwise operator on truth values as the logical one."""
    return lambda x, y: logical(x, y) if dtype_of(x) == torch.bool else NotImplemented


def exclusive_or(x: Any, y: Any) -> Any:
    """Combine truth values by operators that every format has."""
    either, both = torch.logical_or(x, y), torch.logical_and(x, y)
    return torch.logical_and(either, torch.logical_not(both))
