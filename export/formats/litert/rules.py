"""Operators that the converter to LiteRT gets wrong, and those that it cannot support."""

from __future__ import annotations

import re
from typing import Any

import torch

from export.formats.litert import LITERT
from export.rewrites import EVERYWHERE, maps, pointwise, shapes
from export.rewrites.operator_support import FAILS, UNKNOWN, Rules

_aten: Any = torch.ops.aten

RULES = Rules(
    format=LITERT.name,
    rewrites=EVERYWHERE
    | {
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
    },
    refusals={
        _aten.argsort.default: FAILS,
        _aten.avg_pool3d.default: FAILS,
        _aten.bilinear.default: FAILS,
        _aten.bucketize.Tensor: UNKNOWN,
        _aten.col2im.default: FAILS,
        _aten.erfc.default: UNKNOWN,
        _aten.fmax.default: UNKNOWN,
        _aten.median.dim: UNKNOWN,
        _aten.one_hot.default: FAILS,
        _aten.scatter_add.default: FAILS,
        _aten.sort.default: FAILS,
        _aten.topk.default: FAILS,
        _aten.unfold.default: FAILS,
    },
    unknown=re.compile(r"Lowering not found: (?P<operator>[\w.]+)"),
)
