"""Reductions. Sums of squares and of exponentials are rounded like results: in half precision they overflow first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from device_tests.runtimes.coreml.operators.batching import not_over
from device_tests.runtimes.coreml.operators.registry import Array, Rounded, operator
from device_tests.runtimes.coreml.operators.shapes import require_axes

Ints = tuple[int, ...]
# A reduction over every axis gives numpy's number instead of an array.
_Reduce = Callable[[Array, Ints, bool, Rounded], Any]
_NOT_THE_FIRST = not_over("axes", default=None)


def _l2(x: Array, axes: Ints, keep: bool, rounded: Rounded) -> Any:
    return np.sqrt(rounded(np.asarray(np.square(x).sum(axes, dtype=x.dtype, keepdims=keep))))


def _log_sum_exp(x: Array, axes: Ints, keep: bool, rounded: Rounded) -> Any:
    # Where all values are minus infinity, there is no largest to subtract.
    largest = x.max(axes, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, np.float32(0))
    total = np.log(rounded(np.asarray(np.exp(x - largest).sum(axes, keepdims=keep))))
    return total + (largest if keep else np.squeeze(largest, axes))


def _mean(x: Array, axes: Ints, keep: bool, rounded: Rounded) -> Any:
    return x.mean(axes, dtype=x.dtype if x.dtype.kind == "f" else None, keepdims=keep).astype(x.dtype)


_PLAIN: dict[str, _Reduce] = {
    "reduce_l2_norm": _l2,
    "reduce_log_sum_exp": _log_sum_exp,
    "reduce_mean": _mean,
    "reduce_max": lambda x, axes, keep, _: x.max(axes, keepdims=keep),
    "reduce_min": lambda x, axes, keep, _: x.min(axes, keepdims=keep),
    "reduce_prod": lambda x, axes, keep, _: x.prod(axes, dtype=x.dtype, keepdims=keep),
    "reduce_sum": lambda x, axes, keep, _: x.sum(axes, dtype=x.dtype, keepdims=keep),
}


def _register(name: str, function: _Reduce) -> None:
    def run(x: Array, axes: Ints | None = None, keep_dims: bool = False, *, rounded: Rounded) -> Array:
        over = tuple(range(x.ndim)) if axes is None else require_axes(axes, x.ndim)
        if any(x.shape[axis] == 0 for axis in over):
            raise ValueError(f"it reduces {list(x.shape)} over nothing")
        return np.asarray(function(x, over, keep_dims, rounded))

    operator(name, batch=_NOT_THE_FIRST)(run)


for _name, _function in _PLAIN.items():
    _register(_name, _function)


_Indices = Literal["int32", "uint16"]


@operator(batch=not_over("axis", default=-1))
def reduce_argmax(x: Array, axis: int = -1, keep_dims: bool = False, output_dtype: _Indices = "int32") -> Array:
    """Return the index of the largest value, the first of several."""
    return np.asarray(x.argmax(axis, keepdims=keep_dims)).astype(output_dtype)


@operator(batch=not_over("axis", default=-1))
def reduce_argmin(x: Array, axis: int = -1, keep_dims: bool = False, output_dtype: _Indices = "int32") -> Array:
    """Return the index of the smallest value, the first of several."""
    return np.asarray(x.argmin(axis, keepdims=keep_dims)).astype(output_dtype)
