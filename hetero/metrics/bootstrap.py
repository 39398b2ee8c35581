"""Bootstrap intervals: over queries, or over classes whose queries are resampled together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from hetero.errors import InputError
from hetero.metrics.defined import mean_over_tasks
from hetero.schema import record

DRAWS_AT_ONCE = 2**21

Values = Float64[np.ndarray, "_"]
Clusters = Int64[np.ndarray, "_"]
Tasks = list[NDArray[np.float64]]
Means = Float64[np.ndarray, "samples figures"]


@record
class Interval:
    """A figure with its percentile bootstrap interval.

    Attributes:
        value: The figure on the original data.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    @property
    def status(self) -> Literal["holds", "fails", "undecided"]:
        """The outcome for a difference that should be above zero: all of the interval is, none is, or it includes zero.

        Where all answers are equal the interval has no width: it is not by chance that they are not above zero.
        """
        if self.low > 0:
            return "holds"
        return "fails" if self.high < 0 or self.low == self.high else "undecided"


def mean_interval(
    values: Values | Sequence[Values],
    *,
    clusters: Clusters | Sequence[Clusters] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Compute the interval of a mean, or of the mean over several tasks of each task's mean.

    Args:
        values: float64 [q], one value for each query; or one such array for each task. NaN leaves a query out.
        clusters: int64 [q], the class of each query, shaped like ``values``: classes are resampled, each with all of
            its queries in all tasks (queries of a class are not independent). Without it, queries are resampled,
            separately for each task.
        resamples: Bootstrap samples. A task that a sample leaves without queries does not count in that sample's mean.
        level: Coverage of the interval, between 0 and 1.
        seed: Seed of the resampling.

    Raises:
        InputError: When there are no values, or clusters of another shape.
    """
    return function_interval([values], _only, clusters=clusters, resamples=resamples, level=level, seed=seed)


def function_interval(
    figures: Sequence[Values | Sequence[Values]],
    function: Callable[[Means], Float64[np.ndarray, " samples"]],
    *,
    clusters: Clusters | Sequence[Clusters] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Compute the interval of a function of several means over the same queries, for instance of a ratio.

    All figures are resampled with the same queries. A sample in which the function is not finite (a ratio whose
    denominator is zero) does not count.

    Args:
        figures: Values as in :func:`mean_interval`, all of the same queries in the same order.
        function: Maps float64 [s, f], the means of the f figures in each of s samples, to float64 [s].
        clusters: See :func:`mean_interval`.
        resamples: See :func:`mean_interval`.
        level: See :func:`mean_interval`.
        seed: See :func:`mean_interval`.

    Raises:
        InputError: When the figures belong to different queries, or the function is not finite for them.
    """
    columns = [_as_tasks(figure) for figure in figures]
    groups = _groups(columns[0], clusters)
    _check(columns, groups, resamples, level)
    point = np.array([[mean_over_tasks(tasks) for tasks in columns]])
    with np.errstate(divide="ignore", invalid="ignore"):
        means = _resampled(columns, groups, resamples, seed)
        value, samples = float(function(point)[0]), function(means)
    samples = samples[np.isfinite(samples)]
    if not np.isfinite(value) or not len(samples):
        raise InputError(
            f"the figure is not defined for these queries; the means it is made of are {point[0].tolist()}"
        )
    tail = (1 - level) / 2
    low, high = np.quantile(samples, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def difference_interval(
    new: Values | Sequence[Values],
    old: Values | Sequence[Values],
    *,
    clusters: Clusters | Sequence[Clusters] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Compute the paired interval of ``mean(new) - mean(old)``: both sides are resampled with the same queries.

    Args:
        new: float64 [q], one value for each query; or one such array for each task.
        old: Values of the other system, of the same queries in the same order.
        clusters: See :func:`mean_interval`.
        resamples: See :func:`mean_interval`.
        level: See :func:`mean_interval`.
        seed: See :func:`mean_interval`.

    Raises:
        InputError: When the two sides do not have the same number of queries.
    """
    left, right = _as_tasks(new), _as_tasks(old)
    if [len(task) for task in left] != [len(task) for task in right]:
        raise InputError(
            "a paired difference needs the same queries on both sides, "
            f"got {[len(task) for task in left]} and {[len(task) for task in right]} values"
        )
    difference = [a - b for a, b in zip(left, right, strict=True)]
    return mean_interval(difference, clusters=clusters, resamples=resamples, level=level, seed=seed)


def _as_tasks(values: NDArray[np.float64] | Sequence[NDArray[np.float64]]) -> Tasks:
    return [values] if isinstance(values, np.ndarray) else list(values)


def _groups(
    tasks: Tasks, clusters: NDArray[np.int64] | Sequence[NDArray[np.int64]] | None
) -> list[NDArray[np.int64]] | None:
    if clusters is None:
        return None
    return [clusters] if isinstance(clusters, np.ndarray) else list(clusters)


def _only(means: NDArray[np.float64]) -> NDArray[np.float64]:
    return means[:, 0]


def _check(columns: list[Tasks], groups: list[NDArray[np.int64]] | None, resamples: int, level: float) -> None:
    sizes = [len(task) for task in columns[0]]
    problems: list[str] = []
    if not sizes or 0 in sizes:
        problems.append("values: expected at least one query in every task")
    if others := [lengths for tasks in columns[1:] if (lengths := [len(task) for task in tasks]) != sizes]:
        problems.append(f"figures: expected all to be of the same queries, {sizes} a task, got {others[0]}")
    if groups is not None and [len(group) for group in groups] != sizes:
        problems.append(f"clusters: expected one a value, {sizes}, got {[len(group) for group in groups]}")
    if resamples < 1 or not 0 < level < 1:
        problems.append(f"expected resamples >= 1 and 0 < level < 1, got {resamples} and {level}")
    if problems:
        raise InputError("cannot resample:", problems)


def _resampled(
    columns: list[Tasks], groups: list[NDArray[np.int64]] | None, resamples: int, seed: int
) -> NDArray[np.float64]:
    """Return float64 [resamples, columns]: each column's mean over tasks, of the same random queries."""
    if groups is not None:
        return _cluster_means(columns, groups, lambda clusters: _first_drawn(clusters, resamples, seed))
    rng = np.random.default_rng(seed)
    per_task = np.stack(
        [
            _cluster_means(
                [[tasks[index]] for tasks in columns],
                [np.arange(len(task))],
                lambda clusters: times_drawn(clusters, resamples, rng),
            )
            for index, task in enumerate(columns[0])
        ]
    )
    valid = ~np.isnan(per_task)
    return np.where(valid, per_task, 0).sum(axis=0) / valid.sum(axis=0)


def _cluster_means(
    columns: list[Tasks],
    groups: list[NDArray[np.int64]],
    drawn: Callable[[int], Iterable[NDArray[np.float64]]],
) -> NDArray[np.float64]:
    """Return float64 [resamples, columns]: mean over tasks of (sum of values / number of queries) of drawn clusters."""
    names, inverse = np.unique(np.concatenate(groups), return_inverse=True)
    members = np.split(inverse, np.cumsum([len(group) for group in groups])[:-1])
    pairs = [(m, task) for tasks in columns for m, task in zip(members, tasks, strict=True)]
    sums = np.stack([np.bincount(m, np.where(np.isnan(task), 0, task), len(names)) for m, task in pairs])
    sizes = np.stack([np.bincount(m, ~np.isnan(task), len(names)) for m, task in pairs])
    means: list[NDArray[np.float64]] = []
    for times in drawn(len(names)):
        totals, queries = ((times @ each.T).reshape(len(times), len(columns), len(groups)) for each in (sums, sizes))
        task_means = np.divide(totals, queries, out=np.zeros_like(totals), where=queries > 0)
        means.append(task_means.sum(axis=2) / (queries > 0).sum(axis=2))
    return np.concatenate(means)


def _first_drawn(clusters: int, resamples: int, seed: int) -> Iterable[NDArray[np.float64]]:
    """Return what a new generator draws; kept where it is small, as many figures are of the same classes."""
    if clusters * resamples <= DRAWS_AT_ONCE:
        return _kept_draws(clusters, resamples, seed)
    return times_drawn(clusters, resamples, np.random.default_rng(seed))


@lru_cache(maxsize=2)
def _kept_draws(clusters: int, resamples: int, seed: int) -> tuple[NDArray[np.float64], ...]:
    return tuple(times_drawn(clusters, resamples, np.random.default_rng(seed)))


def times_drawn(clusters: int, resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.float64]]:
    """Yield float64 [part of resamples, clusters]: counts of each cluster in a sample with replacement."""
    at_once = max(1, DRAWS_AT_ONCE // clusters)
    for start in range(0, resamples, at_once):
        samples = min(at_once, resamples - start)
        draws = rng.integers(0, clusters, (samples, clusters)) + np.arange(samples)[:, None] * clusters
        counts = np.bincount(draws.ravel(), minlength=samples * clusters)
        yield counts.reshape(samples, clusters).astype(np.float64)
