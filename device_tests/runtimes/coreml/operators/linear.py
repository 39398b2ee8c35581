"""Matrix products."""

from __future__ import annotations

import math

import numpy as np

from device_tests.runtimes.coreml.operators.activation import softmax
from device_tests.runtimes.coreml.operators.batching import BatchRule, Call, along_first
from device_tests.runtimes.coreml.operators.registry import Array, Rounded, operator
from device_tests.runtimes.coreml.operators.shapes import require_shape
from device_tests.runtimes.coreml.types import TensorType


def _rows_apart(call: Call) -> bool:
    return along_first(call) and len(call.shapes["x"]) >= 2


def _leading(*names: str) -> BatchRule:
    """Return a rule: batched arguments have a first axis that no product sums over; the others broadcast along it."""

    def rule(call: Call) -> bool:
        rank = len(call.outputs[0])
        return rank >= 3 and all(
            (len(call.shapes[name]) == rank and call.shapes[name][0] == 1)
            if name in call.batched
            else len(call.shapes[name]) < rank or call.shapes[name][0] == 1
            for name in names
            if name in call.shapes
        )

    return rule


@operator(batch=_rows_apart)
def linear(x: Array, weight: Array, bias: Array | None = None, *, expected: TensorType) -> Array:
    """Return ``x @ weight.T + bias``: ``x`` [..., i], ``weight`` [o, i], ``bias`` [o]."""
    if weight.ndim != 2 or x.ndim < 1 or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"the weights {list(weight.shape)} do not fit {list(x.shape)}")
    require_shape((*x.shape[:-1], weight.shape[0]), expected)
    result = x @ weight.T
    return result if bias is None else result + bias


def _matmul_batch(call: Call) -> bool:
    # A matrix of one row becomes one row per image.
    if call.only("x") and len(call.shapes["x"]) == len(call.shapes["y"]) == 2:
        return call.shapes["x"][0] == 1 and not call.constants.get("transpose_x", False)
    return _leading("x", "y")(call)


@operator(batch=_matmul_batch)
def matmul(x: Array, y: Array, transpose_x: bool = False, transpose_y: bool = False, *, expected: TensorType) -> Array:
    """Multiply the last two axes, broadcasting the others."""
    left = x.swapaxes(-1, -2) if transpose_x and x.ndim > 1 else x
    right = y.swapaxes(-1, -2) if transpose_y and y.ndim > 1 else y
    leading = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    rows = left.shape[-2:-1] if left.ndim > 1 else ()
    columns = right.shape[-1:] if right.ndim > 1 else ()
    require_shape((*leading, *rows, *columns), expected)
    return np.asarray(left @ right)


@operator()
def einsum(values: tuple[Array, ...], equation: str, *, expected: TensorType) -> Array:
    """Sum two arguments in Einstein's notation."""
    if len(values) != 2 or len(equation) > 64:
        raise ValueError(f"expected two arguments and a short equation, got {len(values)} and {equation[:64]!r}")
    sizes: dict[str, int] = {}
    inputs, _, output = equation.replace(" ", "").partition("->")
    for letters, value in zip(inputs.split(","), values, strict=True):
        if len(letters) != value.ndim or not letters.isalpha():
            raise ValueError(f"the equation {equation!r} does not fit {list(value.shape)}")
        sizes.update(zip(letters, value.shape, strict=True))
    require_shape(tuple(sizes[letter] for letter in output), expected)
    return np.einsum(equation, *values, optimize=True)


@operator(batch=_leading("query", "key", "value", "attn_mask"))
def scaled_dot_product_attention(
    query: Array, key: Array, value: Array, attn_mask: Array | None = None, *, rounded: Rounded
) -> Array:
    """Attend: ``query`` [..., l, e], ``key`` [..., s, e], ``value`` [..., s, v]; a mask is added, or selects."""
    scores = rounded(query @ key.swapaxes(-1, -2) / np.float32(math.sqrt(query.shape[-1])))
    if attn_mask is not None and attn_mask.dtype == np.bool_:
        scores = np.where(attn_mask, scores, np.float32(-np.inf))
    elif attn_mask is not None:
        scores = rounded(scores + attn_mask)
    return rounded(softmax(scores, -1, rounded=rounded)) @ value
