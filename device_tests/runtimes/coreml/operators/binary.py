"""Functions of two numbers, with numpy's broadcasting."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from device_tests.runtimes.coreml.operators.batching import elementwise
from device_tests.runtimes.coreml.operators.registry import Array, operator
from device_tests.runtimes.coreml.operators.shapes import require_shape
from device_tests.runtimes.coreml.types import TensorType


def _real_div(x: Array, y: Array) -> Array:
    # MIL's division of integers truncates.
    return np.trunc(x / y).astype(x.dtype) if x.dtype.kind in "iu" else x / y


def _integer_safe(function: Callable[[Array, Array], Array]) -> Callable[[Array, Array], Array]:
    def run(x: Array, y: Array) -> Array:
        if y.dtype.kind in "iu" and not y.all():
            raise ValueError("it divides by the integer zero")
        return function(x, y)

    return run


_PLAIN: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "real_div": _integer_safe(_real_div),
    "floor_div": _integer_safe(np.floor_divide), "mod": _integer_safe(np.mod), "pow": np.power,
    "maximum": np.maximum, "minimum": np.minimum,
    "equal": np.equal, "not_equal": np.not_equal, "greater": np.greater, "greater_equal": np.greater_equal,
    "less": np.less, "less_equal": np.less_equal,
    "logical_and": np.logical_and, "logical_or": np.logical_or, "logical_xor": np.logical_xor,
}  # fmt: skip


def _register(name: str, function: Callable[[Array, Array], Array]) -> None:
    def run(x: Array, y: Array, *, expected: TensorType) -> Array:
        require_shape(np.broadcast_shapes(x.shape, y.shape), expected)
        if x.dtype != y.dtype:
            raise ValueError(f"its arguments are of two types, {x.dtype} and {y.dtype}")
        return function(x, y)

    operator(name, batch=elementwise)(run)


for _name, _function in _PLAIN.items():
    _register(_name, _function)


@operator(batch=elementwise)
def select(cond: Array, a: Array, b: Array, *, expected: TensorType) -> Array:
    """Return ``a`` where the condition holds, else ``b``."""
    require_shape(np.broadcast_shapes(cond.shape, a.shape, b.shape), expected)
    if cond.dtype != np.bool_ or a.dtype != b.dtype:
        raise ValueError(f"expected a condition and two arguments of one type, got {cond.dtype}, {a.dtype}, {b.dtype}")
    return np.where(cond, a, b)
