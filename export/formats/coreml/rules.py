"""Operators that the converter to Core ML gets wrong, and those that it cannot support."""

from __future__ import annotations

import re
from typing import Any

import torch

from export.formats.coreml import COREML
from export.rewrites import EVERYWHERE, maps, pointwise, shapes
from export.rewrites.operator_support import FAILS, UNKNOWN, Rules

_aten: Any = torch.ops.aten
_UNCHECKED = "it has no meaning that could be checked without Apple's runtime"

RULES = Rules(
    format=COREML.name,
    rewrites=EVERYWHERE
    | {
        _aten.__and__.Tensor: pointwise.of_truth_values(torch.logical_and),
        _aten.__or__.Tensor: pointwise.of_truth_values(torch.logical_or),
        _aten.__xor__.Tensor: pointwise.of_truth_values(pointwise.exclusive_or),
        _aten._upsample_bicubic2d_aa.vec: maps.by_products(_aten._upsample_bicubic2d_aa.vec),
        _aten._upsample_bilinear2d_aa.vec: maps.by_products(_aten._upsample_bilinear2d_aa.vec),
        _aten._upsample_nearest_exact2d.vec: maps.by_picking(_aten._upsample_nearest_exact2d.vec),
        _aten.addcdiv.default: pointwise.addcdiv,
        _aten.addcmul.default: pointwise.addcmul,
        _aten.alias.default: shapes.alias,
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
    },
    refusals={
        _aten.acosh.default: FAILS,
        _aten.asinh.default: FAILS,
        _aten.bilinear.default: UNKNOWN,
        _aten.bucketize.Tensor: UNKNOWN,
        _aten.cdist.default: UNKNOWN,
        _aten.diagonal.default: FAILS,
        _aten.erfc.default: UNKNOWN,
        _aten.fmax.default: UNKNOWN,
        _aten.fmod.Scalar: UNKNOWN,
        _aten.grid_sampler.default: _UNCHECKED,
        _aten.heaviside.default: UNKNOWN,
        _aten.isinf.default: UNKNOWN,
        _aten.logit.default: UNKNOWN,
        _aten.median.dim: UNKNOWN,
        _aten.remainder.Scalar: "its converter goes through a quotient that float16 cannot hold",
        _aten.rot90.default: UNKNOWN,
        _aten.scatter_add.default: _UNCHECKED,
        _aten.sinc.default: UNKNOWN,
        _aten.unfold.default: UNKNOWN,
        _aten.xlogy.Tensor: UNKNOWN,
    },
    unknown=re.compile(r"convert function for op '(?P<operator>\w+)' not implemented"),
)
