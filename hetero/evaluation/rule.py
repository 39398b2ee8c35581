"""The compatibility rule: a query model must do better against the gallery's vectors than against its own."""

from __future__ import annotations

from typing import Any, Literal

from hetero.errors import InputError
from hetero.evaluation.rule_reason import RuleReason, rule_reason
from hetero.metrics.bootstrap import difference_interval
from hetero.metrics.retrieval import TaskResult
from hetero.schema import record

Status = Literal["holds", "fails", "undecided"]


@record
class Rule:
    """The test of M(q, g) > M(q, q); see "Compatibility-aware Heterogeneous Visual Search", arXiv 2105.06047.

    Attributes:
        query_model: q.
        gallery_model: g.
        metric: M.
        asymmetric: M(q, g).
        symmetric: M(q, q).
        difference: M(q, g) - M(q, q).
        low: Lower end of its paired bootstrap interval over classes.
        high: Upper end.
        status: ``holds`` when the whole interval is above zero, ``fails`` when it is below or all answers are equal,
            ``undecided`` when it includes zero: chance may explain the difference.
        reason: The gallery model's lead and its gallery's cost; None where its own queries were not measured.
    """

    query_model: str
    gallery_model: str
    metric: str
    asymmetric: float
    symmetric: float
    difference: float
    low: float
    high: float
    status: Status
    reason: RuleReason | None = None


def compatibility_rule(
    asymmetric: TaskResult,
    symmetric: TaskResult,
    *,
    query_model: str,
    gallery_model: str,
    metric: str = "cmc@1",
    gallery: TaskResult | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Rule:
    """Test M(q, g) > M(q, q) on the same queries, resampling classes.

    Args:
        asymmetric: The query model against the gallery model.
        symmetric: The query model against itself.
        query_model: Name of the query model; only recorded.
        gallery_model: Name of the gallery model; only recorded.
        metric: Name of the metric to compare.
        gallery: The gallery model against itself, for the reason; None leaves that out.
        resamples: Bootstrap samples.
        level: Coverage of the interval.
        seed: Seed of the resampling.

    Raises:
        InputError: When the two results belong to different tasks.
    """
    if asymmetric.tasks != symmetric.tasks:
        raise InputError(f"both sides must be measured on the same tasks, got {asymmetric.tasks} and {symmetric.tasks}")
    options: Any = {"clusters": asymmetric.labels, "resamples": resamples, "level": level, "seed": seed}
    interval = difference_interval(asymmetric.per_query(metric), symmetric.per_query(metric), **options)
    return Rule(
        query_model=query_model,
        gallery_model=gallery_model,
        metric=metric,
        asymmetric=asymmetric.mean(metric),
        symmetric=symmetric.mean(metric),
        difference=interval.value,
        low=interval.low,
        high=interval.high,
        status=interval.status,
        reason=gallery and rule_reason(asymmetric, symmetric, gallery, metric=metric, **options),
    )
