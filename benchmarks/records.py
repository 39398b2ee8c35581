"""How benchmarks print their figures."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean, stdev
from typing import Any


def signed(interval: Mapping[str, Any]) -> str:
    """A difference with its interval."""
    return f"{interval['value']:+.3f} [{interval['low']:+.3f}, {interval['high']:+.3f}]"


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    return f"{mean(values):.3f} ± {stdev(values):.3f}" if len(values) > 1 else f"{values[0]:.3f}"
