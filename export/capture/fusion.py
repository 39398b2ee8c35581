"""Merging training branches into single layers, for RepVGG, MobileOne, RepViT and others that support it.

Such a network trains with parallel branches and computes the same with one convolution in their place. Its blocks
have a method for this, which is called on a copy; the copy is used if the vectors of real images do not change.
"""

from __future__ import annotations

import copy
import inspect
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import nn

from export.bundle.manifest import FusionEntry
from export.capture.source import Source
from hetero.models.cost import module_cost

METHODS = ("fuse", "reparameterize", "reparameterize_model", "switch_to_deploy", "merge_kernel")
"""Methods by which blocks merge their branches, in order of preference: timm's three in timm's order, and those of the
original repositories of MobileOne, RepVGG and RepLKNet."""
MOVED = 4.5e-4
"""Largest distance between a vector before and after: a cosine of 1 - 1e-7, a tenth of what float32 files may lose."""
SHARE = 1e-2
"""The same as a share of the median distance between two images, for a network whose vectors lie close together."""


@dataclass(frozen=True)
class Fusion:
    """The result of merging a model's branches.

    Attributes:
        source: The model to convert. Its digest, space and provenance stay those of the weights that were trained.
        entry: The merged branches; None if nothing was merged.
        warning: The reason why mergeable branches remain; empty if there are none.
    """

    source: Source
    entry: FusionEntry | None = None
    warning: str = ""


def fuse_branches(source: Source, images: UInt8[np.ndarray, "n h w 3"]) -> Fusion:
    """Merge the branches of a copy of a model, if it supports that.

    Args:
        source: The model, which is not changed.
        images: Real images, whose vectors must not change.
    """
    if not any(_method(module) for module in source.module.modules()):
        return Fusion(source)
    try:
        merged = copy.deepcopy(source.module)
        with torch.no_grad():
            blocks = _merge_below(merged)
        fused = replace(source, module=merged.eval())
        before = source.embed(images)
        moved, allowed = _moved(before, fused.embed(images)), _allowed(before)
    except Exception as error:  # the methods are the module's own and raise all kinds
        return _kept(source, f"merging them failed with {type(error).__name__}: {str(error).strip()[:500]}")
    if not moved <= allowed:  # not a number is no less
        return _kept(source, f"merged, a golden image's vector moves by {moved:.2g}, at most {allowed:.2g} is allowed")
    cost = module_cost(source.module, source.preprocessing)
    return Fusion(fused, FusionEntry(dict(sorted(blocks.items())), cost.macs, cost.parameters, moved))


def _kept(source: Source, reason: str) -> Fusion:
    warning = f"{source.name} keeps its training branches: {reason}"
    print(warning, file=sys.stderr)
    return Fusion(source, warning=warning)


def _merge_below(module: nn.Module) -> Counter[str]:
    """Merge every block below a module, the outermost first; return the number of blocks of each kind."""
    merged: Counter[str] = Counter()
    for name, child in [*module.named_children()]:
        block = child
        if merge := _method(child):
            merged[type(child).__name__] += 1
            result = merge()
            if isinstance(result, nn.Module):  # others change in place
                block = result
                setattr(module, name, block)
        merged += _merge_below(block)
    return merged


def _method(module: nn.Module) -> Callable[[], object] | None:
    """Return the method by which a module merges its branches: one without required arguments."""
    for name in METHODS:
        method = getattr(module, name, None)
        if inspect.ismethod(method) and all(
            each.default is not each.empty or each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
            for each in inspect.signature(method).parameters.values()
        ):
            return method
    return None


def _moved(before: Float32[np.ndarray, "n d"], after: Float32[np.ndarray, "n d"]) -> float:
    """Return the largest distance between an image's two vectors."""
    return float(np.linalg.norm(before.astype(np.float64) - after, axis=1).max())


def _allowed(vectors: Float32[np.ndarray, "n d"]) -> float:
    """Return the distance that a vector may move."""
    rows, columns = np.triu_indices(len(vectors), 1)
    if not len(rows):
        return MOVED
    distances = np.linalg.norm(vectors[rows].astype(np.float64) - vectors[columns], axis=1)
    return min(MOVED, SHARE * float(np.median(distances)))
