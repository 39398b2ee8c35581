"""Two systems compared on the same queries, with intervals over queries and over classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from hetero.metrics.bootstrap import Interval, difference_interval, function_interval
from hetero.metrics.retrieval import TaskResult
from hetero.schema import record


@record
class Comparison:
    """A paired difference.

    Attributes:
        metric: Name of the metric.
        new: The first system's figure.
        old: The second system's figure.
        over_queries: new - old, with queries resampled: its uncertainty for further queries of these classes.
        over_classes: new - old, with classes resampled with all of their queries: its uncertainty for further classes.
    """

    metric: str
    new: float
    old: float
    over_queries: Interval
    over_classes: Interval


def share_interval(result: TaskResult, best: TaskResult, metric: str = "cmc@1", **options: Any) -> Interval | None:
    """Return the share of another system's figure that a system reaches on the same queries, resampled together.

    Args:
        result: The system's result.
        best: The other's.
        metric: Name of the metric.
        **options: As of :func:`hetero.metrics.bootstrap.function_interval`.

    Returns:
        The share; None when the other system finds nothing.
    """
    values, bests = result.per_query(metric), best.per_query(metric)
    if not any(map(np.any, bests)):
        return None
    return function_interval([values, bests], lambda means: means[:, 0] / means[:, 1], **options)


def compare(
    new: TaskResult,
    old: TaskResult,
    metric: str = "cmc@1",
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare two systems on the same tasks.

    Args:
        new: One system's result.
        old: The other system's result.
        metric: Name of the metric to compare.
        resamples: Bootstrap samples.
        level: Coverage of the intervals.
        seed: Seed of the resampling.

    Raises:
        InputError: When the two were not measured on the same queries.
    """
    new.require_same_queries(old)
    intervals = {
        over: difference_interval(
            new.per_query(metric),
            old.per_query(metric),
            clusters=new.clusters(over),
            resamples=resamples,
            level=level,
            seed=seed,
        )
        for over in ("queries", "classes")
    }
    return Comparison(metric, new.mean(metric), old.mean(metric), intervals["queries"], intervals["classes"])
