"""Means over the queries for which a metric is defined: where it is not, a query's value is NaN."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64


def mean(values: Float64[np.ndarray, " q"]) -> float:
    """Return the mean of the values that are not NaN; NaN without any."""
    valid = values[~np.isnan(values)]
    return float(valid.mean()) if len(valid) else float("nan")


def mean_over_tasks(tasks: Sequence[Float64[np.ndarray, " _"]]) -> float:
    """Return the mean over tasks of each one's :func:`mean`; tasks without a value do not count."""
    return mean(np.array([mean(task) for task in tasks]))
