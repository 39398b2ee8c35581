"""Arrays derived from the shape, the order or the numbers of another."""

from __future__ import annotations

from typing import Literal

import numpy as np

from device_tests.runtimes.coreml.operators.batching import along_first, not_over
from device_tests.runtimes.coreml.operators.registry import Array, Unsupported, operator
from device_tests.runtimes.coreml.operators.shapes import require_shape
from device_tests.runtimes.coreml.types import TensorType


@operator(batch=along_first)
def fill_like(ref_tensor: Array, value: Array | None = None) -> Array:
    """Fill an array of another's shape with one number."""
    number = np.zeros((), np.float32) if value is None else value
    return np.full(ref_tensor.shape, number, number.dtype)


@operator()
def one_hot(
    indices: Array,
    one_hot_vector_size: int,
    axis: int = -1,
    on_value: Array | None = None,
    off_value: Array | None = None,
    *,
    expected: TensorType,
) -> Array:
    """Encode indices along a new axis: one number at the index and another elsewhere."""
    place = axis % (indices.ndim + 1)
    require_shape((*indices.shape[:place], one_hot_vector_size, *indices.shape[place:]), expected)
    on = np.ones((), np.int32) if on_value is None else on_value
    off = np.zeros((), on.dtype) if off_value is None else off_value
    steps = np.arange(one_hot_vector_size).reshape(-1, *(1,) * (indices.ndim - place))
    return np.where(np.expand_dims(indices, place) == steps, on, off)


@operator(batch=not_over("axis", default=0))
def cumsum(x: Array, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Array:
    """Return running sums along an axis, optionally from the end, or without the number itself."""
    ordered = np.flip(x, axis) if reverse else x
    sums = np.cumsum(ordered, axis, dtype=x.dtype)
    if exclusive:
        sums = sums - ordered
    return np.flip(sums, axis) if reverse else sums


@operator(batch=not_over("axis", default=-1))
def argsort(x: Array, axis: int = -1, ascending: bool = False) -> Array:
    """Return the order of the numbers along an axis; equal ones keep theirs."""
    return _order(x, axis, ascending=ascending).astype(np.int32)


@operator(batch=not_over("axis", default=-1))
def topk(
    x: Array,
    k: int = 1,
    axis: int = -1,
    ascending: bool = False,
    sort: bool = True,
    return_indices: bool = True,
    output_indices_dtype: Literal["int32", "uint16"] = "int32",
) -> tuple[Array, ...]:
    """Return the largest (or smallest) numbers along an axis, and their indices."""
    if not sort:
        raise Unsupported("an order that is not defined")
    if k == -1:
        k = x.shape[axis]
    if not 0 < k <= x.shape[axis]:
        raise ValueError(f"{k} numbers do not exist among {x.shape[axis]}")
    order = np.take(_order(x, axis, ascending=ascending), np.arange(k), axis)
    values = np.take_along_axis(x, order, axis)
    return (values, order.astype(output_indices_dtype)) if return_indices else (values,)


def _order(x: Array, axis: int, *, ascending: bool) -> Array:
    if ascending:
        return np.argsort(x, axis, kind="stable")
    # Reversed twice, so that the first of equal numbers remains first.
    last = np.flip(np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
    return x.shape[axis] - 1 - last
