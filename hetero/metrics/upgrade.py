"""The gain of a model upgrade before anything is re-embedded: update gain, P_up, P_comp, AC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from hetero.errors import InputError
from hetero.metrics.bootstrap import Interval, function_interval
from hetero.metrics.retrieval import TaskResult


def update_gain(cross: float, old: float, alone: float) -> float:
    """Compute [M(n, o) - M(o, o)] / [M(n*, n*) - M(o, o)]: the share of a full re-embedding's gain without it.

    Source: "Towards Backward-Compatible Representation Learning", arXiv 2003.11942.

    Args:
        cross: M(n, o), new queries against the old gallery.
        old: M(o, o).
        alone: M(n*, n*), a new model trained without the constraint, with its own gallery.

    Raises:
        InputError: When M(n*, n*) is not above M(o, o): there is nothing to gain.
    """
    if not alone > old:
        raise InputError(f"the update gain needs M(n*, n*) above M(o, o), got {alone} and {old}")
    return (cross - old) / (alone - old)


def update_gain_interval(
    cross: TaskResult, old: TaskResult, alone: TaskResult, metric: str = "cmc@1", *, over: str = "classes", **rest: Any
) -> Interval:
    """Compute the update gain with its paired bootstrap interval.

    It is wide where M(n*, n*) - M(o, o) is small; samples in which that difference is not positive do not count.

    Args:
        cross: New queries against the old gallery.
        old: Old queries against the old gallery.
        alone: The unconstrained new model's queries against its own gallery.
        metric: Name of the metric.
        over: ``"classes"`` or ``"queries"``, the unit of resampling.
        **rest: ``resamples``, ``level``, ``seed``.

    Raises:
        InputError: When the results belong to different queries, or M(n*, n*) is not above M(o, o).
    """
    for other in (old, alone):
        other.require_same_queries(cross)
    update_gain(cross.mean(metric), old.mean(metric), alone.mean(metric))
    figures = [result.per_query(metric) for result in (cross, old, alone)]
    return function_interval(figures, _gains, clusters=cross.clusters(over), **rest)


def p_up(new: Sequence[float], alone: Sequence[float]) -> float:
    """Compute the mean of sigmoid[(M(n, n) - M(*, *)) / M(*, *)]: 0.5 when compatibility costs the new model nothing.

    Args:
        new: M(n, n) of each upgrade (or data set): the compatible new model with its own gallery.
        alone: M(*, *) of each: the new model trained without the constraint.

    Raises:
        InputError: For lists of different length, or M(*, *) that is not positive.
    """
    compatible, free = _same_length(new, alone)
    if not (free > 0).all():
        raise InputError(f"P_up needs every M(*, *) above zero, got {free.tolist()}")
    return _mean_sigmoid((compatible - free) / free)


def p_comp(cross: Sequence[float], old: Sequence[float], alone: Sequence[float]) -> float:
    """Compute the mean of sigmoid[(M(n, o) - M(o, o)) / (M(*, *) - M(o, o))]: 0.5 is break-even with the old model.

    Args:
        cross: M(n, o) of each upgrade (or data set).
        old: M(o, o) of each.
        alone: M(*, *) of each.

    Raises:
        InputError: For lists of different length, or M(*, *) that is not above M(o, o).
    """
    mixed, before, free = _same_length(cross, old, alone)
    if not (free > before).all():
        raise InputError(f"P_comp needs every M(*, *) above M(o, o), got {free.tolist()} and {before.tolist()}")
    return _mean_sigmoid((mixed - before) / (free - before))


def average_compatibility(figures: Float64[np.ndarray, "t t"]) -> float:
    """Compute AC: the share of pairs i > j of T models with M(i, j) > M(j, j).

    Args:
        figures: float64 [t, t]; row i, column j is M(query model i, gallery model j), models from first to latest.
            NaN marks a pair that cannot be compared, which counts as not compatible.

    Raises:
        InputError: For fewer than two models.
    """
    models = len(figures)
    if models < 2:
        raise InputError(f"average compatibility needs at least two models, got {models}")
    later, earlier = np.tril_indices(models, -1)
    return float((figures[later, earlier] > figures[earlier, earlier]).mean())


def _gains(means: NDArray[np.float64]) -> NDArray[np.float64]:
    cross, old, alone = means.T
    return np.where(alone > old, (cross - old) / (alone - old), np.nan)


def _same_length(*lists: Sequence[float]) -> list[NDArray[np.float64]]:
    if not lists[0] or len({len(values) for values in lists}) != 1:
        raise InputError(f"expected one figure of each kind an upgrade, got {[len(values) for values in lists]}")
    return [np.asarray(values, np.float64) for values in lists]


def _mean_sigmoid(values: NDArray[np.float64]) -> float:
    return float(np.mean(1 / (1 + np.exp(-values))))
