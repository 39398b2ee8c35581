"""Rewrites of operators that converters get wrong or do not know, before they see the graph.

The tables, of all converters here and of each in its format's ``rules``, were found by running every operator of
``benchmarks/operator_catalogue.py`` through the converters (docs/operators.md).
"""

from __future__ import annotations

from typing import Any

import torch

from export.rewrites import maps, pointwise
from export.rewrites.rewriting import Rewrite, rewritten, written_out

__all__ = ["EVERYWHERE", "Rewrite", "rewritten", "written_out"]

_aten: Any = torch.ops.aten

EVERYWHERE: dict[Any, Rewrite] = {
    _aten.adaptive_avg_pool2d.default: maps.adaptive_avg_pool2d,
    _aten.adaptive_max_pool2d.default: maps.adaptive_max_pool2d,
    _aten.avg_pool2d.default: maps.avg_pool2d,
    _aten.copysign.Tensor: pointwise.copysign,
    _aten.cosine_similarity.default: pointwise.cosine_similarity,
    _aten.cumprod.default: pointwise.cumprod,
    _aten.hypot.default: pointwise.hypot,
    _aten.log_sigmoid.default: pointwise.log_sigmoid,
    _aten.logaddexp.default: pointwise.logaddexp,
    _aten.rms_norm.default: pointwise.rms_norm,
    _aten.std.correction: pointwise.std,
    _aten.std.dim: pointwise.std_dim,
}
