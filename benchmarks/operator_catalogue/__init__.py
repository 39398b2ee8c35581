"""Operators that networks for images are made of, each as a module from one feature map to any tensor."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from benchmarks.operator_catalogue import layers, maps, numbers, tensors
from benchmarks.operator_catalogue.case import SHAPE, Case

__all__ = ["SHAPE", "catalogue"]

_PARTS = (
    layers.activations,
    layers.norms,
    layers.convolutions,
    layers.pools,
    maps.resizes,
    maps.paddings,
    maps.reductions,
    numbers.pointwise,
    numbers.binary,
    tensors.products,
    tensors.ordering,
    tensors.shapes,
    numbers.conditions,
)


def catalogue() -> dict[str, nn.Module]:
    """Name -> operator, freshly seeded."""
    torch.manual_seed(0)
    given = {name: entry for part in _PARTS for name, entry in part().items()}
    return {name: _module(entry).eval() for name, entry in given.items()}


def _module(entry: Any) -> nn.Module:
    """An entry is a module, a function of the map, or such a function with its weights by name."""
    if isinstance(entry, nn.Module):
        return entry
    compute, weights = entry if isinstance(entry, tuple) else (entry, {})
    return Case(compute, weights)
