"""The error function, which numpy lacks."""

from __future__ import annotations

import math

import numpy as np

from device_tests.runtimes.coreml.operators.registry import Array

_TERMS = 40
_SERIES = np.array([(-1) ** n / (math.factorial(n) * (2 * n + 1)) for n in range(_TERMS)])


def erf(x: Array) -> Array:
    """Return ``2 / sqrt(pi)`` times the integral of ``exp(-t ** 2)`` from 0 to ``x``; float32, to a last digit or two.

    In double precision, the Maclaurin series up to 3 and the continued fraction beyond (Abramowitz and Stegun, 7.1.5
    and 7.1.14).
    """
    wide = np.abs(x.astype(np.float64))
    near = np.minimum(wide, 3.0)
    square = near * near
    series = np.zeros_like(square)
    for coefficient in _SERIES[::-1]:
        series = series * square + coefficient
    inner = 2 / math.sqrt(math.pi) * near * series
    far = np.clip(wide, 3.0, 6.0)
    fraction = far
    for term in range(40, 0, -1):
        fraction = far + term / 2 / fraction
    outer = 1 - np.exp(-far * far) / math.sqrt(math.pi) / fraction
    return np.copysign(np.where(wide < 3, inner, outer), x).astype(np.float32)
