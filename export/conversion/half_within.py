"""Intermediate values inside single operators that float16 may not be able to represent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

_aten: Any = torch.ops.aten
_WITHOUT_POWERS = (0.0, 1.0, float("inf"), float("-inf"))
"""Orders of norms without powers."""


def within(target: Any, result: Tensor, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """Return values that must fit, too: powers under a norm's root, scores of attention, variances.

    Args:
        target: The operator.
        result: Its result.
        args: Its arguments.
        kwargs: Its named arguments.
    """
    if target in _VARIANCES:
        return [_VARIANCES[target](*args, **kwargs)[0]]
    return _WITHIN[target](result, *args, **kwargs) if target in _WITHIN else []


def coarseness(target: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> float:
    """Return the relative error of a normalisation's variance, plus its epsilon, with both in float16."""
    if target not in _VARIANCES:
        return 0.0
    variance, epsilon = _VARIANCES[target](*args, **kwargs)
    exact = variance + epsilon
    rounded = variance.half().to(exact.dtype) + torch.tensor(epsilon).half().to(exact.dtype)
    return float(((rounded - exact).abs() / exact).nan_to_num(posinf=0.0).max())


def _powers(result: Tensor, values: Tensor, power: float | int | None = 2, *_: Any, **_options: Any) -> list[Tensor]:
    power = 2.0 if power is None else float(power)
    return [] if power in _WITHOUT_POWERS else [values.abs() ** power, result**power]


def _scores(
    _result: Tensor, query: Tensor, key: Tensor, *_: Any, scale: float | int | None = None, **_options: Any
) -> list[Tensor]:
    return [query @ key.transpose(-1, -2) * (query.shape[-1] ** -0.5 if scale is None else scale)]


def _layer(
    x: Tensor, shape: Sequence[int], _weight: Any = None, _bias: Any = None, eps: float | int = 1e-5, *_: Any
) -> Any:
    return x.var(tuple(range(-len(shape), 0)), correction=0), eps


def _group(x: Tensor, groups: int, _weight: Any = None, _bias: Any = None, eps: float | int = 1e-5, *_: Any) -> Any:
    return x.reshape(len(x), groups, -1).var(-1, correction=0), eps


def _instance(x: Tensor, *rest: Any) -> Any:
    return x.flatten(2).var(-1, correction=0), rest[6]


_WITHIN: Mapping[Any, Callable[..., list[Tensor]]] = {
    _aten.linalg_vector_norm.default: _powers,
    _aten.norm.Scalar: _powers,
    _aten.norm.ScalarOpt_dim: _powers,
    _aten.scaled_dot_product_attention.default: _scores,
}
_VARIANCES: Mapping[Any, Callable[..., tuple[Tensor, float | int]]] = {
    _aten.group_norm.default: _group,
    _aten.instance_norm.default: _instance,
    _aten.layer_norm.default: _layer,
}
