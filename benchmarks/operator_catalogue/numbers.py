"""Operators on single numbers and on pairs of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.operator_catalogue.case import SHAPE


def pointwise() -> dict[str, Any]:
    """Of one number."""
    names = (
        "abs",
        "neg",
        "sign",
        "square",
        "exp",
        "exp2",
        "expm1",
        "sin",
        "cos",
        "atan",
        "asinh",
    )
    more = ("erf", "erfc", "floor", "ceil", "trunc", "frac", "reciprocal", "isnan", "isinf", "sinc")
    of: dict[str, Any] = {name: _float_of(getattr(torch, name)) for name in (*names, *more)}
    return of | {
        "round": torch.round,
        "round (decimals)": lambda x: torch.round(x, decimals=2),
        "sqrt": lambda x: x.abs().sqrt(),
        "sqrt (negative)": torch.sqrt,
        "rsqrt": lambda x: x.abs().rsqrt(),
        "log": lambda x: x.abs().log(),
        "log2": lambda x: x.abs().log2(),
        "log10": lambda x: x.abs().log10(),
        "log1p": lambda x: x.abs().log1p(),
        "logit": lambda x: torch.logit(x, eps=1e-3),
        "acosh": lambda x: x.clamp(min=1).acosh(),
        "clamp": lambda x: x.clamp(-0.3, 0.8),
        "clamp (tensors)": (lambda x, low: x.clamp(low), {"low": torch.randn(1, 4, 1, 1)}),
        "nan_to_num": lambda x: torch.nan_to_num(x.log(), nan=3.0, posinf=5.0, neginf=-7.0),
    }


def binary() -> dict[str, Any]:
    """Of two numbers."""
    other = {"y": torch.randn(1, 4, 8, 8)}
    return {
        "add (broadcast)": (lambda x, y: x + y, {"y": torch.randn(8)}),
        "sub (alpha)": (lambda x, y: torch.sub(x, y, alpha=0.3), other),
        "mul": lambda x: x * x.flip(-1),
        "div": (lambda x, y: x / y, other),
        "div (by zero)": lambda x: (x + 1) / x,
        "floor_divide": lambda x: torch.floor_divide(x, 0.75),
        "div (trunc)": lambda x: torch.div(x, 0.75, rounding_mode="trunc"),
        "remainder": lambda x: torch.remainder(x, 0.75),
        "remainder (negative)": lambda x: torch.remainder(x, -0.75),
        "fmod": lambda x: torch.fmod(x, 0.75),
        "pow (2)": lambda x: x.pow(2),
        "pow (3, negative base)": lambda x: x.pow(3),
        "pow (-1)": lambda x: x.pow(-1),
        "pow (0.5)": lambda x: x.pow(0.5),
        "pow (tensor)": (lambda x, y: x.abs().pow(y), {"y": torch.rand(1, 4, 8, 8) * 3}),
        "pow (scalar base)": lambda x: torch.pow(1.5, x.clamp(-9, 9)),
        "atan2": lambda x: torch.atan2(x, x.flip(-1)),
        "hypot": lambda x: torch.hypot(x, x.flip(-1)),
        "maximum": (torch.maximum, {"other": other["y"]}),
        "minimum": (torch.minimum, {"other": other["y"]}),
        "fmax": (torch.fmax, {"other": other["y"]}),
        "logaddexp": (torch.logaddexp, {"other": other["y"]}),
        "xlogy": lambda x: torch.xlogy(x.abs(), x.abs()),
        "lerp": (lambda x, y: torch.lerp(x, y, 0.3), other),
        "lerp (tensor)": (lambda x, y: torch.lerp(x, x.flip(-1), y), other),
        "addcmul": (lambda x, y: torch.addcmul(x, x, y, value=0.5), other),
        "addcdiv": (lambda x, y: torch.addcdiv(x, x, y, value=0.5), other),
        "squared_difference": (lambda x, y: (x - y).square(), other),
    }


def conditions() -> dict[str, Any]:
    """Choices, masks and constants."""
    return {
        "where": lambda x: torch.where(x > 0, x, x * 2),
        "masked_fill (-inf)": (
            lambda x, mask: x.masked_fill(mask, float("-inf")).softmax(-1),
            {"mask": torch.rand(8, 8).gt(0.6) & ~torch.eye(8).bool()},
        ),
        "masked_fill (-1e9)": (
            lambda x, mask: x.masked_fill(mask, -1e9).softmax(-1),
            {"mask": torch.rand(8, 8).gt(0.6) & ~torch.eye(8).bool()},
        ),
        "tril": torch.tril,
        "triu": lambda x: x.triu(1),
        "logical": lambda x: ((x > 0) & ~(x > 2) | (x < -1) ^ (x <= -2)).float(),
        "compare": lambda x: (x >= 0.5).float() + (x == 0).float() + (x != 1).float(),
        "bool times number": lambda x: x * (x > 0.1),
        "cast to integers": lambda x: x.to(torch.int32).float(),
        "heaviside": (torch.heaviside, {"values": torch.full((1,), 0.5)}),
        "copysign": (torch.copysign, {"other": torch.randn(SHAPE)}),
        "dropout (evaluation)": nn.Dropout(0.5),
        "arange": lambda x: x + torch.arange(8, dtype=x.dtype),
        "full_like": lambda x: torch.full_like(x, 0.3) + x,
        "linspace": lambda x: x * torch.linspace(-1, 1, 8, dtype=x.dtype),
    }


def _float_of(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda x: function(x).to(x.dtype)
