"""Makes a backfill plan: the order is chosen on one half of the queries, and measured on the other half."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from hetero.errors import InputError
from hetero.metrics.backfill import Backfill, BackfillCurve, backfill_curves
from hetero.metrics.bootstrap import Interval, difference_interval
from hetero.metrics.defined import mean
from hetero.metrics.registry import choices, in_full, is_choice
from hetero.upgrade.backfill.orders import WITH_LABELS, WITHOUT_LABELS, by_urgency
from hetero.upgrade.backfill.plan import BackfillPlan, Compatibility, OrderFigures

RANDOM = "random"
ENOUGH = 0.95


@dataclass(frozen=True)
class Ranking:
    """The gallery in the chosen order.

    Attributes:
        rows: int64 [g], gallery rows, those to re-embed first in front.
        urgency: float64 [g], urgency of each gallery row; its meaning depends on the order.
    """

    rows: Int64[np.ndarray, " g"]
    urgency: Float64[np.ndarray, " g"]


def make_plan(
    backfill: Backfill,
    *,
    old_space: str,
    new_space: str,
    compatibility: Compatibility,
    metric: str = "cmc@1",
    labelled: bool = True,
    steps: int = 10,
    random_orders: int = 5,
    seed: int = 0,
) -> tuple[BackfillPlan, Ranking]:
    """Choose an order and measure it.

    Queries of every class are split in halves. The order with the largest area under its curve on the planning half is
    chosen; all figures reported are of the other half.

    Args:
        backfill: Queries and gallery, with labels.
        old_space: Id, recorded.
        new_space: Id, recorded.
        compatibility: Recorded.
        metric: What the order is chosen by, see :mod:`hetero.metrics.registry`.
        labelled: Whether orders may look at the gallery's labels: whether these are known of every image that is to
            be re-embedded, and not only of those at hand.
        steps: How many equal steps the curve takes from 0 to 1.
        random_orders: How many random orders to compare with.
        seed: Decides halves, random orders and ties.

    Raises:
        InputError: For too few queries, an unknown metric, or a gallery in which a query has nothing to find.
    """
    _check(backfill, metric, steps, random_orders)
    planning, reporting = (backfill.with_queries(rows) for rows in halves(backfill.query_labels, seed))
    shares = tuple(step / steps for step in range(steps + 1))
    ways = WITHOUT_LABELS | WITH_LABELS if labelled else WITHOUT_LABELS
    urgencies = {name: urgency(planning) for name, urgency in ways.items()}
    informed = {name: by_urgency(urgency, seed) for name, urgency in urgencies.items()}
    metrics = in_full(metric)
    areas = {
        name: mean(curve.areas(metric)) for name, curve in backfill_curves(planning, informed, shares, metrics).items()
    }
    best = max(areas, key=lambda name: areas[name])
    random = {f"{RANDOM} {n}": _random_order(len(backfill.old), seed + n) for n in range(random_orders)}
    curves = backfill_curves(reporting, informed | random, shares, metrics)
    at_random = [curves.pop(name) for name in random]
    by_chance = _mean_curve(at_random)
    all_curves = {RANDOM: by_chance, **curves}
    over_queries, over_classes = _against_chance(curves[best], by_chance, metric, reporting.query_labels, seed)
    plan = BackfillPlan(
        chosen=best,
        labelled=labelled,
        metric=metric,
        shares=shares,
        orders={name: _figures(curve, metric, areas.get(name)) for name, curve in all_curves.items()},
        random_orders=tuple(mean(curve.areas(metric)) for curve in at_random),
        over_queries=over_queries,
        over_classes=over_classes,
        gallery=len(backfill.old),
        planning_queries=len(planning.query),
        reporting_queries=len(reporting.query),
        old_space=old_space,
        new_space=new_space,
        compatibility=compatibility,
        seed=seed,
    )
    return plan, Ranking(informed[best], urgencies[best])


def halves(labels: Int64[np.ndarray, " q"], seed: int) -> tuple[Int64[np.ndarray, " a"], Int64[np.ndarray, " b"]]:
    """Return the rows of two halves; every class is split evenly, up to one query."""
    order = np.lexsort((np.random.default_rng(seed).permutation(len(labels)), labels))
    return np.sort(order[::2]), np.sort(order[1::2])


def _random_order(size: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, size]).permutation(size)


def _mean_curve(curves: Sequence[BackfillCurve]) -> BackfillCurve:
    """Return the curve of each query's mean over several orders."""
    points = zip(*(curve.values for curve in curves), strict=True)
    values = tuple({name: np.mean([value[name] for value in point], axis=0) for name in point[0]} for point in points)
    return BackfillCurve(curves[0].shares, values)


def _figures(curve: BackfillCurve, metric: str, chosen_by: float | None) -> OrderFigures:
    return OrderFigures(
        curve={name: tuple(curve.means(name)) for name in curve.metrics},
        area=mean(curve.areas(metric)),
        enough=_enough(curve.shares, curve.means(metric)),
        chosen_by=chosen_by,
    )


def _enough(shares: Sequence[float], means: Sequence[float]) -> float | None:
    if means[-1] <= means[0]:
        return None
    goal = means[0] + ENOUGH * (means[-1] - means[0])
    return next(share for share, mean in zip(shares, means, strict=True) if mean >= goal)


def _against_chance(
    curve: BackfillCurve, by_chance: BackfillCurve, metric: str, labels: NDArray[np.int64], seed: int
) -> tuple[Interval, Interval]:
    areas = curve.areas(metric), by_chance.areas(metric)
    return difference_interval(*areas, seed=seed), difference_interval(*areas, clusters=labels, seed=seed)


def _check(backfill: Backfill, metric: str, steps: int, random_orders: int) -> None:
    problems: list[str] = []
    if not is_choice(metric):
        problems.append(f"metric: expected one of {', '.join(choices())}, got {metric!r}")
    if steps < 2:
        problems.append(f"steps: expected at least 2, got {steps}")
    if random_orders < 1:
        problems.append(f"random orders: expected at least 1, got {random_orders}")
    if len(backfill.query) < 2:
        problems.append(f"queries: expected at least two, one for each half, got {len(backfill.query)}")
    if problems:
        raise InputError("cannot plan a backfill:", problems)
