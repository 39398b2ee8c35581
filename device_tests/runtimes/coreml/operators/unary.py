"""Functions of one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from device_tests.runtimes.coreml.operators.batching import elementwise
from device_tests.runtimes.coreml.operators.registry import Array, operator
from device_tests.runtimes.coreml.operators.special import erf as erf_of

_PLAIN: dict[str, Callable[[Array], Array]] = {
    "abs": np.abs, "atan": np.arctan, "ceil": np.ceil, "cos": np.cos, "erf": erf_of, "exp": np.exp, "exp2": np.exp2,
    "floor": np.floor, "logical_not": np.logical_not, "round": np.rint, "sign": np.sign, "sin": np.sin, "sqrt": np.sqrt,
    "square": np.square, "tanh": np.tanh,
}  # fmt: skip


def _register(name: str, function: Callable[[Array], Array]) -> None:
    def run(x: Array) -> Array:
        return function(x)

    operator(name, batch=elementwise)(run)


for _name, _function in _PLAIN.items():
    _register(_name, _function)


@operator(batch=elementwise, exact=True)
def identity(x: Array) -> Array:
    """Return ``x``."""
    return x


@operator(batch=elementwise, exact=True)
def clip(x: Array, alpha: float, beta: float) -> Array:
    """Return ``min(max(x, alpha), beta)``."""
    return np.clip(x, x.dtype.type(alpha), x.dtype.type(beta))


@operator(batch=elementwise, exact=True)
def threshold(x: Array, alpha: float) -> Array:
    """Return ``max(x, alpha)``."""
    return np.maximum(x, x.dtype.type(alpha))


@operator(batch=elementwise)
def inverse(x: Array, epsilon: float = 1e-4) -> Array:
    """Return ``1 / (x + epsilon)``."""
    return 1 / (x + np.float32(epsilon))


@operator(batch=elementwise)
def log(x: Array, epsilon: float = 1e-45) -> Array:
    """Return ``log(x + epsilon)``."""
    return np.log(x + np.float32(epsilon))


@operator(batch=elementwise)
def rsqrt(x: Array, epsilon: float = 1e-12) -> Array:
    """Return ``1 / sqrt(x + epsilon)``."""
    return 1 / np.sqrt(x + np.float32(epsilon))


_Castable = Literal["fp16", "fp32", "int8", "int16", "int32", "uint8", "uint16", "bool"]


@operator(batch=elementwise)
def cast(x: Array, dtype: _Castable) -> Array:
    """Convert to another type; fractions are truncated to integers, as in C."""
    if dtype in ("fp16", "fp32"):
        return x.astype(np.float32)
    if dtype == "bool":
        return x != 0
    limits = np.iinfo(dtype)
    whole = np.trunc(x.astype(np.float64))
    if whole.size and not (whole.min() >= limits.min and whole.max() <= limits.max):
        raise ValueError(f"its argument holds numbers that {dtype} cannot")
    return whole.astype(dtype)
