"""What each converter gets wrong or does not know, written out before it sees the graph.

The tables were found by running every operator of ``benchmarks/operator_catalogue.py`` through the converters
(docs/operators.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from export.bundle.manifest import Format
from export.rewrites import maps, pointwise, shapes
from export.rewrites.rewriting import Rewrite, rewritten, written_out

__all__ = ["REWRITES", "Rewrite", "rewritten", "written_out"]

_aten: Any = torch.ops.aten

_EVERYWHERE: dict[Any, Rewrite] = {
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
_ONNX: dict[Any, Rewrite] = {
    _aten.atan2.default: pointwise.atan2,
    _aten.celu.default: pointwise.celu,
}
_LITERT: dict[Any, Rewrite] = {
    _aten.__and__.Tensor: pointwise.of_truth_values(torch.logical_and),
    _aten.__or__.Tensor: pointwise.of_truth_values(torch.logical_or),
    _aten.__xor__.Tensor: pointwise.of_truth_values(pointwise.exclusive_or),
    _aten._upsample_bicubic2d_aa.vec: maps.by_products(_aten._upsample_bicubic2d_aa.vec),
    _aten._upsample_bilinear2d_aa.vec: maps.by_products(_aten._upsample_bilinear2d_aa.vec),
    _aten._upsample_nearest_exact2d.vec: maps.by_picking(_aten._upsample_nearest_exact2d.vec),
    _aten.conv_transpose2d.input: maps.conv_transpose2d,
    _aten.exp2.default: pointwise.exp2,
    _aten.max_pool2d.default: maps.max_pool2d,
    _aten.repeat.default: shapes.repeat,
    _aten.rsqrt.default: pointwise.rsqrt,
    _aten.sub.Tensor: pointwise.sub,
    _aten.tile.default: shapes.tile,
    _aten.upsample_nearest2d.vec: maps.by_picking(_aten.upsample_nearest2d.vec),
}
_COREML: dict[Any, Rewrite] = {
    _aten.__and__.Tensor: pointwise.of_truth_values(torch.logical_and),
    _aten.__or__.Tensor: pointwise.of_truth_values(torch.logical_or),
    _aten.__xor__.Tensor: pointwise.of_truth_values(pointwise.exclusive_or),
    _aten._upsample_bicubic2d_aa.vec: maps.by_products(_aten._upsample_bicubic2d_aa.vec),
    _aten._upsample_bilinear2d_aa.vec: maps.by_products(_aten._upsample_bilinear2d_aa.vec),
    _aten._upsample_nearest_exact2d.vec: maps.by_picking(_aten._upsample_nearest_exact2d.vec),
    _aten.addcdiv.default: pointwise.addcdiv,
    _aten.addcmul.default: pointwise.addcmul,
    _aten.atan2.default: pointwise.atan2,
    _aten.celu.default: pointwise.celu,
    _aten.channel_shuffle.default: shapes.channel_shuffle,
    _aten.clamp.Tensor: pointwise.clamp,
    _aten.conv_transpose2d.input: maps.conv_transpose2d,
    _aten.expm1.default: pointwise.expm1,
    _aten.hardshrink.default: pointwise.hardshrink,
    _aten.lerp.Scalar: pointwise.lerp,
    _aten.lerp.Tensor: pointwise.lerp,
    _aten.log.default: pointwise.log,
    _aten.log10.default: pointwise.log10,
    _aten.log2.default: pointwise.log2,
    _aten.log_softmax.int: pointwise.log_softmax,
    _aten.mT.default: shapes.matrix_transpose,
    _aten.max_pool2d.default: maps.max_pool2d,
    _aten.nan_to_num.default: pointwise.nan_to_num,
    _aten.pad.default: maps.pad,
    _aten.prod.dim_int: pointwise.prod,
    _aten.reciprocal.default: pointwise.reciprocal,
    _aten.round.decimals: pointwise.round_decimals,
    _aten.rsqrt.default: pointwise.rsqrt,
    _aten.scaled_dot_product_attention.default: shapes.attention,
    _aten.softplus.default: pointwise.softplus,
    _aten.softshrink.default: pointwise.softshrink,
    _aten.sub.Tensor: pointwise.sub,
    _aten.take_along_dim.default: shapes.take_along_dim,
    _aten.trunc.default: pointwise.trunc,
    _aten.upsample_bicubic2d.vec: maps.by_products(_aten.upsample_bicubic2d.vec),
    _aten.upsample_nearest2d.vec: maps.by_picking(_aten.upsample_nearest2d.vec),
    _aten.var_mean.correction: pointwise.var_mean,
    _aten.var_mean.dim: pointwise.var_mean_dim,
}
REWRITES: Mapping[Format, Mapping[Any, Rewrite]] = {
    "onnx": _EVERYWHERE | _ONNX,
    "litert": _EVERYWHERE | _LITERT,
    "coreml": _EVERYWHERE | _COREML,
}
