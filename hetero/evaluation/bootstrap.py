"""Intervals by the bootstrap: over queries, or over classes whose queries are resampled together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from hetero.errors import InputError
from hetero.schema import record

DRAWS_AT_ONCE = 2**21

Values = Float64[NDArray[np.float64], "_"]
Clusters = Int64[NDArray[np.int64], "_"]


@record
class Interval:
    """A figure with its percentile bootstrap interval.

    Attributes:
        value: The figure on the data as they are.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float


def mean_interval(
    values: Values | Sequence[Values],
    *,
    clusters: Clusters | Sequence[Clusters] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of a mean, or of the mean over several tasks of each task's mean.

    Args:
        values: float64 [q], one value a query; or one such array a task.
        clusters: int64 [q], the class of each query, shaped like ``values``: classes are resampled, each with all of
            its queries in all tasks (queries of a class are not independent). Without it, queries are resampled,
            each task's by themselves.
        resamples: Bootstrap samples. A task that a sample leaves without queries does not count in that sample's mean.
        level: Coverage asked for, between 0 and 1.
        seed: Seed of the resampling.

    Raises:
        InputError: When there are no values, or clusters of another shape.
    """
    tasks = _as_tasks(values)
    groups = _groups(tasks, clusters)
    _check(tasks, groups, resamples, level)
    point = float(np.mean([task.mean() for task in tasks]))
    means = _resampled(tasks, groups, resamples, np.random.default_rng(seed))
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(point, float(low), float(high))


def difference_interval(
    new: Values | Sequence[Values],
    old: Values | Sequence[Values],
    *,
    clusters: Clusters | Sequence[Clusters] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Paired interval of ``mean(new) - mean(old)``: both sides are resampled with the same queries.

    Args:
        new: float64 [q], one value a query; or one such array a task.
        old: The same queries in the same order, answered otherwise.
        clusters: See :func:`mean_interval`.
        resamples: See :func:`mean_interval`.
        level: See :func:`mean_interval`.
        seed: See :func:`mean_interval`.

    Raises:
        InputError: When the two sides do not hold the same number of queries.
    """
    left, right = _as_tasks(new), _as_tasks(old)
    if [len(task) for task in left] != [len(task) for task in right]:
        raise InputError(
            "a paired difference needs the same queries on both sides, "
            f"got {[len(task) for task in left]} and {[len(task) for task in right]} values"
        )
    difference = [a - b for a, b in zip(left, right, strict=True)]
    return mean_interval(difference, clusters=clusters, resamples=resamples, level=level, seed=seed)


def _as_tasks(values: NDArray[np.float64] | Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    return [values] if isinstance(values, np.ndarray) else list(values)


def _groups(
    tasks: list[NDArray[np.float64]], clusters: NDArray[np.int64] | Sequence[NDArray[np.int64]] | None
) -> list[NDArray[np.int64]] | None:
    if clusters is None:
        return None
    return [clusters] if isinstance(clusters, np.ndarray) else list(clusters)


def _check(
    tasks: list[NDArray[np.float64]], groups: list[NDArray[np.int64]] | None, resamples: int, level: float
) -> None:
    problems: list[str] = []
    if not tasks or any(len(task) == 0 for task in tasks):
        problems.append("values: expected at least one query in every task")
    if groups is not None and [len(group) for group in groups] != [len(task) for task in tasks]:
        problems.append(
            f"clusters: expected one a value, {[len(task) for task in tasks]}, got {[len(group) for group in groups]}"
        )
    if resamples < 1 or not 0 < level < 1:
        problems.append(f"expected resamples >= 1 and 0 < level < 1, got {resamples} and {level}")
    if problems:
        raise InputError("cannot resample:", problems)


def _resampled(
    tasks: list[NDArray[np.float64]],
    groups: list[NDArray[np.int64]] | None,
    resamples: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    if groups is None:
        singles = [np.arange(len(task), dtype=np.int64) for task in tasks]
        per_task = [_cluster_means([task], [one], resamples, rng) for task, one in zip(tasks, singles, strict=True)]
        return np.mean(per_task, axis=0)
    return _cluster_means(tasks, groups, resamples, rng)


def _cluster_means(
    tasks: list[NDArray[np.float64]],
    groups: list[NDArray[np.int64]],
    resamples: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """float64 [resamples]: each the mean over tasks of (sum of values / number of queries) of drawn clusters."""
    names, inverse = np.unique(np.concatenate(groups), return_inverse=True)
    members = np.split(inverse, np.cumsum([len(group) for group in groups])[:-1])
    sums = np.stack([np.bincount(m, t, len(names)) for m, t in zip(members, tasks, strict=True)])
    sizes = np.stack([np.bincount(m, minlength=len(names)) for m in members]).astype(np.float64)
    chunk = max(1, DRAWS_AT_ONCE // len(names))
    means: list[NDArray[np.float64]] = []
    for start in range(0, resamples, chunk):
        times = _times_drawn(len(names), min(chunk, resamples - start), rng)
        queries = times @ sizes.T
        task_means = np.divide(times @ sums.T, queries, out=np.zeros_like(queries), where=queries > 0)
        means.append(task_means.sum(axis=1) / (queries > 0).sum(axis=1))
    return np.concatenate(means)


def _times_drawn(clusters: int, resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """float64 [resamples, clusters]: how often each cluster comes up in each sample with replacement."""
    drawn = rng.integers(0, clusters, (resamples, clusters)) + np.arange(resamples)[:, None] * clusters
    return np.bincount(drawn.ravel(), minlength=resamples * clusters).reshape(resamples, clusters).astype(np.float64)
