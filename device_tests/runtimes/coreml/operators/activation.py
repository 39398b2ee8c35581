"""Activations."""

from __future__ import annotations

from typing import Literal

import numpy as np

from device_tests.runtimes.coreml.operators.batching import along_first, elementwise, not_over
from device_tests.runtimes.coreml.operators.registry import Array, Rounded, operator
from device_tests.runtimes.coreml.operators.special import erf as erf_of


@operator(batch=elementwise, exact=True)
def relu(x: Array) -> Array:
    """Return ``max(x, 0)``."""
    # Several times faster than numpy's maximum of an array and a number.
    return np.clip(x, np.float32(0), None)


@operator(batch=elementwise, exact=True)
def relu6(x: Array) -> Array:
    """Return ``min(max(x, 0), 6)``."""
    return np.clip(x, np.float32(0), np.float32(6))


@operator(batch=elementwise)
def leaky_relu(x: Array, alpha: float) -> Array:
    """Return ``x``, or ``alpha * x`` where ``x`` is negative."""
    if 0 <= alpha <= 1:
        return np.maximum(x, x * np.float32(alpha))
    return np.where(x >= 0, x, x * np.float32(alpha))


@operator(batch=along_first)
def prelu(x: Array, alpha: Array) -> Array:
    """Return :func:`leaky_relu` with a slope for each channel of ``x`` [n, c, ...]."""
    if alpha.shape != x.shape[1:2]:
        raise ValueError(f"slopes of shape {list(alpha.shape)} do not fit {list(x.shape)}")
    return np.where(x >= 0, x, x * alpha.reshape(-1, *(1,) * (x.ndim - 2)))


@operator(batch=elementwise, exact=True)
def thresholded_relu(x: Array, alpha: float) -> Array:
    """Return ``x`` where it is at least ``alpha``, else 0."""
    mask = x >= np.float32(alpha)
    # The product is ten times faster, but infinity times zero is not a number.
    return x * mask if np.isfinite(x.min(initial=0)) else np.where(mask, x, np.float32(0))


@operator(batch=elementwise)
def linear_activation(x: Array, alpha: float, beta: float) -> Array:
    """Return ``alpha * x + beta``."""
    return x * np.float32(alpha) + np.float32(beta)


@operator(batch=elementwise)
def elu(x: Array, alpha: float) -> Array:
    """Return ``x``, or ``alpha * (exp(x) - 1)`` where ``x`` is negative."""
    return np.where(x >= 0, x, np.float32(alpha) * np.expm1(np.minimum(x, np.float32(0))))


@operator(batch=elementwise)
def gelu(x: Array, mode: Literal["EXACT", "TANH_APPROXIMATION", "SIGMOID_APPROXIMATION"] = "EXACT") -> Array:
    """Return ``x`` times the normal distribution function, or one of its two approximations."""
    half = np.float32(0.5)
    if mode == "EXACT":
        return half * x * (1 + erf_of(x * np.float32(2**-0.5)))
    if mode == "TANH_APPROXIMATION":
        return half * x * (1 + np.tanh(np.float32((2 / np.pi) ** 0.5) * (x + np.float32(0.044715) * x * x * x)))
    return x * sigmoid(np.float32(1.702) * x)


@operator(batch=elementwise)
def sigmoid(x: Array) -> Array:
    """Return ``1 / (1 + exp(-x))``."""
    # Use the one of two forms whose exponential cannot overflow.
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, np.float32(1), small) / (1 + small)


@operator(batch=elementwise)
def sigmoid_hard(x: Array, alpha: float, beta: float) -> Array:
    """Return ``min(max(alpha * x + beta, 0), 1)``."""
    result = x * np.float32(alpha)
    result += np.float32(beta)
    return np.clip(result, np.float32(0), np.float32(1), out=result)


@operator(batch=elementwise)
def silu(x: Array) -> Array:
    """Return ``x * sigmoid(x)``."""
    return x * sigmoid(x)


@operator(batch=elementwise)
def softplus(x: Array) -> Array:
    """Return ``log(1 + exp(x))``."""
    return np.logaddexp(x, np.float32(0))


@operator(batch=elementwise)
def softsign(x: Array) -> Array:
    """Return ``x / (1 + |x|)``."""
    return x / (1 + np.abs(x))


@operator(batch=not_over("axis", default=-1))
def softmax(x: Array, axis: int = -1, *, rounded: Rounded) -> Array:
    """Return exponentials that sum to one along an axis."""
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / rounded(powers.sum(axis=axis, keepdims=True))
