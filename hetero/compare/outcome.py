"""The table of measured students: means, spreads, intervals, and the best method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hetero.compare.config import Comparison
from hetero.compare.measure import Measured, over_seeds
from hetero.compare.method import MethodConfig
from hetero.metrics.bootstrap import Interval, difference_interval, mean_interval
from hetero.metrics.retrieval import TaskResult
from hetero.schema import record


@record
class Figure:
    """A figure over seeds.

    Attributes:
        mean: Mean over the seeds.
        spread: Standard deviation over the seeds; 0 for one seed.
        seeds: Value of each seed.
    """

    mean: float
    spread: float
    seeds: tuple[float, ...]


@record
class MethodOutcome:
    """The outcome of one method.

    Attributes:
        name: Its name.
        trained_as: The student that represents it: its only one, or the choice made on validation.
        validation: The comparison's metric on validation classes, against the cloud's gallery.
        asymmetric: Metric -> test figure against the cloud's gallery.
        symmetric: Metric -> test figure against its own gallery.
        share: The comparison's metric against the cloud's gallery, as a share of the cloud's symmetric figure.
        interval: 95 % interval of the asymmetric figure.
        behind: The chosen method minus this one, with its paired 95 % interval; None for the chosen one itself.
    """

    name: str
    trained_as: str
    validation: Figure
    asymmetric: dict[str, Figure]
    symmetric: dict[str, Figure]
    share: Figure
    interval: Interval
    behind: Interval | None


@record
class Outcome:
    """A finished comparison.

    Attributes:
        name: Name of the comparison.
        metric: The figure by which choices were made.
        seeds: The seeds.
        cloud: Metric -> the cloud's symmetric figure.
        methods: The methods, the best on validation first.
        chosen: The best method on validation.
        best: The chosen one, when its interval against every other lies above zero on the test classes; else empty.
        costs: ``cloud`` and ``student``: multiply-accumulates and parameters of one image.
        resampled: Units that the intervals resample: test classes, or queries when there are too few classes.
    """

    name: str
    metric: str
    seeds: tuple[int, ...]
    cloud: dict[str, Figure]
    methods: tuple[MethodOutcome, ...]
    chosen: str
    best: str
    costs: dict[str, dict[str, int]]
    resampled: Literal["classes", "queries"]


def outcome(
    comparison: Comparison,
    measured: Mapping[str, Sequence[Measured]],
    trained_as: Mapping[str, str],
    clouds: Sequence[TaskResult],
    costs: dict[str, dict[str, int]],
) -> Outcome:
    """Assemble the outcome of a comparison.

    The chosen method is the one with the best mean on validation. Each query's value is averaged over the seeds, and
    classes are resampled: the intervals show the variation of these models' figures over other classes. With fewer
    than 30 test classes, queries are resampled instead, for the variation over other photos of these classes.

    Args:
        comparison: The comparison.
        measured: For each method, a result for each seed.
        trained_as: For each method, the student that represents it.
        clouds: The cloud against itself, a result for each seed.
        costs: Costs of the cloud and the student.
    """
    metric = comparison.metric
    order = sorted(measured, key=lambda name: -mean(result.validation for result in measured[name]))
    methods = {method.name: method for method in comparison.methods}
    chosen = next(name for name in order if not methods[name].independent)
    averaged = {name: over_seeds([result.asymmetric for result in measured[name]], metric) for name in order}
    resampled = averaged[chosen].resampled
    clusters = averaged[chosen].clusters(resampled)
    rows = tuple(
        _row(
            methods[name], trained_as[name], measured[name], clouds, metric, averaged[name], averaged[chosen], clusters
        )
        for name in order
    )
    is_best = all(row.behind.low > 0 for row in rows if row.behind)
    return Outcome(
        name=comparison.name,
        metric=metric,
        seeds=comparison.seeds,
        cloud={name: _figure([result.mean(name) for result in clouds]) for name in clouds[0].metrics},
        methods=rows,
        chosen=chosen,
        best=chosen if is_best else "",
        costs=costs,
        resampled=resampled,
    )


def _row(
    method: MethodConfig,
    trained_as: str,
    measured: Sequence[Measured],
    clouds: Sequence[TaskResult],
    metric: str,
    averaged: TaskResult,
    chosen: TaskResult,
    clusters: Sequence[NDArray[np.int64]] | None,
) -> MethodOutcome:
    asymmetric = [result.asymmetric for result in measured]
    symmetric = [result.symmetric for result in measured]
    own_shares = [result.mean(metric) / cloud.mean(metric) for result, cloud in zip(asymmetric, clouds, strict=True)]
    values = averaged.per_query(metric)
    return MethodOutcome(
        name=method.name,
        trained_as=trained_as,
        validation=_figure([result.validation for result in measured]),
        asymmetric={name: _figure([result.mean(name) for result in asymmetric]) for name in asymmetric[0].metrics},
        symmetric={name: _figure([result.mean(name) for result in symmetric]) for name in symmetric[0].metrics},
        share=_figure(own_shares),
        interval=mean_interval(values, clusters=clusters),
        behind=None if averaged is chosen else difference_interval(chosen.per_query(metric), values, clusters=clusters),
    )


def _figure(values: list[float]) -> Figure:
    return Figure(mean(values), stdev(values) if len(values) > 1 else 0.0, tuple(values))


def _cost(result: Outcome) -> str:
    student, cloud = (result.costs[name].get("macs") for name in ("student", "cloud"))
    if student and cloud:
        return f"1/{cloud / student:.1f} of its multiply-accumulates"
    return f"{student or 0:,} multiply-accumulates"


def as_table(result: Outcome) -> str:
    """Write a table in Markdown: a row for each method, the best on validation first."""
    metric = result.metric
    lines = [
        f"The cloud's own {metric} is {_with_spread(result.cloud[metric])}; the student costs {_cost(result)}. "
        f"{_seeds(result)} Intervals resample {result.resampled}.",
        "",
        f"| method | validation | {metric}, cloud gallery | of the cloud's | cmc@1, cloud gallery "
        f"| {metric}, own gallery | {result.chosen} minus it, 95 % |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result.methods:
        name = f"**{row.name}**" if row.name == result.best else row.name
        behind = f"{row.behind.value:+.3f} [{row.behind.low:+.3f}, {row.behind.high:+.3f}]" if row.behind else "chosen"
        figures = (row.validation, row.asymmetric[metric], row.share, row.asymmetric["cmc@1"], row.symmetric[metric])
        lines.append(f"| {name} | {' | '.join(_with_spread(value) for value in figures)} | {behind} |")
    return "\n".join(lines) + "\n"


def _with_spread(figure: Figure) -> str:
    return f"{figure.mean:.3f} ± {figure.spread:.3f}" if len(figure.seeds) > 1 else f"{figure.mean:.3f}"


def _seeds(result: Outcome) -> str:
    return "One seed." if len(result.seeds) == 1 else f"{len(result.seeds)} seeds, mean ± standard deviation."
