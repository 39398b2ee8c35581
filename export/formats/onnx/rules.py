"""Operators that the exporter to ONNX gets wrong, and those that it cannot support."""

from __future__ import annotations

import re
from typing import Any

import torch

from export.formats.onnx import ONNX
from export.rewrites import EVERYWHERE, pointwise, shapes
from export.rewrites.operator_support import UNKNOWN, Rules

_aten: Any = torch.ops.aten

RULES = Rules(
    format=ONNX.name,
    rewrites=EVERYWHERE
    | {
        _aten.atan2.default: pointwise.atan2,
        _aten.celu.default: pointwise.celu,
        _aten.scaled_dot_product_attention.default: shapes.attention_without_heads,
    },
    refusals={
        _aten.cdist.default: UNKNOWN,
        _aten.fmax.default: UNKNOWN,
        _aten.median.dim: UNKNOWN,
        _aten.sinc.default: "pi times its argument has no digits left in float16",
    },
    unknown=re.compile(r"No ONNX function found for <OpOverload\(op='(?P<operator>[\w.]+)'"),
)
