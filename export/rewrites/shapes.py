"""Operators that move numbers, and attention, in terms of others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from export.rewrites.rewriting import Number, dtype_of, shape_of

_MOST_COPIES = 64


def attention(
    query: Any,
    key: Any,
    value: Any,
    mask: Any = None,
    dropout: Number = 0.0,
    is_causal: bool = False,
    *,
    scale: Number | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Turn a boolean mask into one that adds minus infinity, and not a large number that larger scores outweigh."""
    if mask is None or dtype_of(mask) != torch.bool:
        return NotImplemented
    # Not through full_like, which would be boolean, too.
    bias = torch.where(mask, 0.0, -math.inf)
    return functional.scaled_dot_product_attention(
        query, key, value, bias, dropout, is_causal, scale=scale, enable_gqa=enable_gqa
    )


def attention_without_heads(
    query: Any,
    key: Any,
    value: Any,
    mask: Any = None,
    dropout: Number = 0.0,
    is_causal: bool = False,
    *,
    scale: Number | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Add an axis of one head, where there is none."""
    if len(shape_of(query)) != 3:
        return NotImplemented
    whole = mask if mask is None or len(shape_of(mask)) == 2 else mask.unsqueeze(1)
    query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
    return functional.scaled_dot_product_attention(
        query, key, value, whole, dropout, is_causal, scale=scale, enable_gqa=enable_gqa
    ).squeeze(1)


def alias(x: Any) -> Any:
    """Return the tensor itself, which a slice of everything is traced as."""
    return x


def channel_shuffle(x: Any, groups: int) -> Any:
    """Take every group's first channel, every group's second, and so on."""
    batch, channels, *sides = shape_of(x)
    return x.reshape(batch, groups, channels // groups, *sides).transpose(1, 2).reshape(batch, channels, *sides)


def matrix_transpose(x: Any) -> Any:
    """Exchange the last two axes."""
    return x.transpose(-1, -2)


def take_along_dim(x: Any, index: Any, dim: int | None = None) -> Any:
    """Gather, if no axis is broadcast."""
    if dim is None or not _alike(shape_of(x), shape_of(index), dim):
        return NotImplemented
    return torch.gather(x, dim, index)


def _alike(shape: tuple[int, ...], other: tuple[int, ...], dim: int) -> bool:
    pairs = list(zip(shape, other, strict=False))
    pairs[dim] = (0, 0)
    return len(shape) == len(other) and all(side == like for side, like in pairs)


def repeat(x: Any, times: Sequence[int]) -> Any:
    """Join copies."""
    if min(times) < 1 or max(times) > _MOST_COPIES:
        return NotImplemented
    for _ in range(len(times) - len(shape_of(x))):
        x = x.unsqueeze(0)
    for axis, count in enumerate(times):
        x = torch.cat([x] * count, axis) if count > 1 else x
    return x


def tile(x: Any, times: Sequence[int]) -> Any:
    """Join copies along the last axes."""
    return repeat(x, [1] * (len(shape_of(x)) - len(times)) + list(times))
