"""Requirements on retrieval, each gate judged by the interval of its figure."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float64

from hetero.display.wording import change_in_words, range_of_change
from hetero.evaluation.limit import (
    Gated,
    Judgement,
    at_least,
    at_most,
    queries_for_floor,
    queries_for_loss,
    shown,
)
from hetero.metrics.bootstrap import Interval, difference_interval, mean_interval
from hetero.metrics.registry import metric_called
from hetero.metrics.retrieval import TaskResult

_METRIC = "cmc@1"
# Fewer queries do not show that anything is found, whatever the result.
_FEWEST = 30
# A share of the way from chance to always right: a model that is shown to stay below it finds nothing.
_CLEARLY = 0.1


def loss_gate(before: TaskResult, after: TaskResult, limit: float, *, beside: str, same: bool = False) -> Gated:
    """Limit the loss of cmc@1 over the same queries.

    Args:
        before: The queries' results before.
        after: Their results now.
        limit: Largest loss.
        beside: Name of ``before``, for people.
        same: True if both are known to find the same, so that no number of queries has to show it.
    """
    loss = difference_interval(before.per_query(_METRIC), after.per_query(_METRIC), clusters=_clusters(before))
    weight = max(1 / len(values) for values in before.labels) / len(before.labels)
    count = queries(before)
    least = 1 if same else queries_for_loss(limit, queries=count, weight=weight)
    lost, gained = flips(before, after)
    text = (
        f"{lost} of {count} queries lose their right answer and {gained} gain it: cmc@1 {change_in_words(loss.value)} "
        f"({range_of_change(loss.low, loss.high)}) beside {beside}; a loss of {limit:g} is allowed"
    )
    return Gated(loss, at_most(loss, limit, queries=count, least=least), text)


def floor_gate(result: TaskResult, floor: float, metric: str = _METRIC) -> Gated:
    """Require a metric to reach a floor."""
    figure = mean_interval(result.per_query(metric), clusters=_clusters(result))
    judgement = at_least(figure, floor, queries=queries(result), least=queries_for_floor(floor))
    return Gated(figure, judgement, f"{metric} is {shown(figure)}; the floor is {floor:g}")


def metric_gates(result: TaskResult, limits: Mapping[str, float]) -> list[Gated]:
    """Require each metric to reach its floor, or to stay within its ceiling where smaller values are better.

    Args:
        result: A result with these metrics.
        limits: Limits by name of the metric.
    """
    return [_metric_gate(result, limit, name) for name, limit in limits.items()]


def _metric_gate(result: TaskResult, limit: float, metric: str) -> Gated:
    if math.isnan(value := result.mean(metric)):
        text = f"{metric} is not defined for any of the {queries(result)} queries"
        return Gated(Interval(value, value, value), Judgement("open", queries(result) + 1), text)
    if metric_called(metric).larger_is_better:
        return floor_gate(result, limit, metric)
    figure = mean_interval(result.per_query(metric), clusters=_clusters(result))
    text = f"{metric} is {shown(figure)}; at most {limit:g} is allowed"
    return Gated(figure, at_most(figure, limit, queries=queries(result)), text)


def above_gate(result: TaskResult, own: TaskResult) -> Gated:
    """Require cmc@1 to be shown to be above that in the student's own gallery, as the compatibility rule does."""
    gain = difference_interval(result.per_query(_METRIC), own.per_query(_METRIC), clusters=_clusters(result))
    text = (
        f"cmc@1 in the cloud gallery, {result.mean(_METRIC):.4f}, is not above that in the student's own, "
        f"{own.mean(_METRIC):.4f}: the difference is {shown(gain)}"
    )
    if gain.status != "undecided":
        return Gated(gain, Judgement("within" if gain.status == "holds" else "beyond"), text)
    half, count = max(gain.value - gain.low, gain.high - gain.value), queries(result)
    needs = int(np.ceil(count * (half / gain.value) ** 2)) if gain.value else 2 * count
    return Gated(gain, Judgement("open", max(needs, count + 1)), text)


def chance_gate(
    result: TaskResult, by_chance: Float64[np.ndarray, " k"], *, what: str = "", unit: str = "queries"
) -> Gated:
    """Require cmc@1 to be shown to be above that of a gallery in random order.

    Args:
        result: The queries' retrieval, in a single task.
        by_chance: float64 [k], their cmc@1 by chance.
        what: Follows the metric's name, for people.
        unit: The unit of the queries, for people.
    """
    above = difference_interval(result.per_query(_METRIC), [by_chance], clusters=_clusters(result))
    level, count, value = float(by_chance.mean()), queries(result), result.mean(_METRIC)
    subject = f"{_METRIC} {what}".rstrip()
    text = f"{subject} is {value:.4f}, {shown(above)} above the {level:.4f} of a gallery in random order"
    if count < _FEWEST:
        return Gated(above, Judgement("open", _FEWEST), text, unit)
    if above.low > 0:
        return Gated(above, Judgement("within"), text)
    if above.high < _CLEARLY * (1 - level):
        return Gated(above, Judgement("beyond"), text)
    half = above.value - above.low
    needs = int(np.ceil(count * (half / above.value) ** 2)) if above.value > 0 else 2 * count
    return Gated(above, Judgement("open", max(needs, count + 1)), text, unit)


def store_gate(changed: Float64[np.ndarray, " q"], limit: float, *, store: str) -> Gated:
    """Limit the share of queries whose first answer the index of a gallery store changes.

    No metric of first answers can lose more by the index, whatever is right.

    Args:
        changed: float64 [q], 1 for a query whose first answer is not that of an exact search, else 0.
        limit: Largest share.
        store: Name of the store and its effort, for people.
    """
    figure, count = mean_interval(changed), len(changed)
    text = (
        f"{int(changed.sum())} of {count} queries get another first answer from {store} than from an exact search: "
        f"a share of {shown(figure)}; {limit:g} is allowed"
    )
    least = queries_for_loss(limit, queries=count, weight=1 / count)
    return Gated(figure, at_most(figure, limit, queries=count, least=least), text)


def queries(result: TaskResult) -> int:
    """Return the number of queries of all tasks."""
    return sum(map(len, result.labels))


def flips(before: TaskResult, after: TaskResult) -> tuple[int, int]:
    """Return the number of queries that lose their right answer, and the number that gain it."""
    changes = np.concatenate(answers_lost(before, after))
    return int((changes > 0).sum()), int((changes < 0).sum())


def answers_lost(before: TaskResult, after: TaskResult) -> list[Float64[np.ndarray, " _"]]:
    """Return, for each task, 1 for a query that loses its right answer, -1 for one that gains it, 0 for the others."""
    return [old - new for old, new in zip(before.per_query(_METRIC), after.per_query(_METRIC), strict=True)]


def _clusters(result: TaskResult) -> list[np.ndarray] | None:
    return result.clusters(result.resampled)
