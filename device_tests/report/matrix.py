"""The compatibility matrix as tables, and its conclusions about each student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from device_tests.report.plots import Point
from device_tests.report.table import Line
from hetero.evaluation.roles import Role
from hetero.evaluation.rule_reason import RuleReason
from hetero.schema import parse

HEADLINE_METRIC = "cmc@1"
_NOTABLE = 0.01


@dataclass(frozen=True)
class Cell:
    """M(query model, gallery model).

    Attributes:
        value: The metric; None for a pair that cannot be measured.
        shade: Darkness of the cell, 0 to 1.
        interval: For instance ``0.51 to 0.60``; empty if there is none.
    """

    value: float | None
    shade: float
    interval: str = ""


@dataclass(frozen=True)
class Heatmap:
    """One metric over all pairs of models: ``rows`` holds a query model's name and its cells."""

    metric: str
    models: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]


@dataclass(frozen=True)
class RuleLine:
    """The rule M(q, g) > M(q, q) for one query model.

    Attributes:
        query: Name of the query model.
        asymmetric: M(q, g).
        symmetric: M(q, q).
        difference: The difference with its interval, for people.
        status: ``holds``, ``fails`` or ``undecided``.
        reason: The reason, for people; empty if the matrix does not give it.
    """

    query: str
    asymmetric: float
    symmetric: float
    difference: str
    status: str
    reason: str = ""


def cloud_name(matrix: Mapping[str, Any]) -> str:
    """Return the name of the model that embeds the gallery in use: the rules', else the costliest, else the first."""
    rules = matrix.get("rules") or []
    if rules:
        return str(rules[0]["gallery_model"])
    costs = matrix.get("costs") or {}
    return max(matrix["models"], key=lambda name: costs.get(name, {}).get("macs", 0))


def cloud_macs(matrix: Mapping[str, Any]) -> int | None:
    """Return the multiply-accumulates of the model of :func:`cloud_name`; None if they are not known."""
    return (matrix.get("costs") or {}).get(cloud_name(matrix), {}).get("macs")


def rules(matrix: Mapping[str, Any]) -> list[RuleLine]:
    """Return the compatibility rule for the headline metric."""
    return [
        RuleLine(
            rule["query_model"],
            float(rule["asymmetric"]),
            float(rule["symmetric"]),
            f"{rule['difference']:+.3f} ({rule['low']:+.3f} to {rule['high']:+.3f})",
            str(rule["status"]),
            _reason(rule),
        )
        for rule in matrix.get("rules") or []
        if rule["metric"] == HEADLINE_METRIC
    ]


def _reason(rule: Mapping[str, Any]) -> str:
    reason = rule.get("reason")
    if reason is None:
        return ""
    return parse(RuleReason, reason, what="matrix.json").in_words(rule["query_model"], rule["gallery_model"])


@dataclass(frozen=True)
class RoleLine:
    """A model in the cloud's place on one side of a search.

    Attributes:
        model: Name of the model.
        role: The search, for people.
        value: cmc@1 with the model in that place.
        cloud: The same with the cloud.
        share: The first over the second with its interval, for people.
        chance: cmc@1 of a gallery in random order.
    """

    model: str
    role: str
    value: float
    cloud: float
    share: str
    chance: float


_ROLES = {
    "gallery": "the cloud's queries, gallery by the model",
    "text to image": "text queries, gallery by the model",
    "image to text": "the model's queries among the texts",
}


def roles(matrix: Mapping[str, Any]) -> list[RoleLine]:
    """Return the models in the cloud's place, by the headline metric."""
    records = [parse(Role, role, what="matrix.json") for role in matrix.get("roles") or []]
    return [
        RoleLine(
            role.model,
            _ROLES[role.role],
            role.value.value,
            role.cloud.value,
            "" if role.share is None else f"{role.share.value:.2f} ({role.share.low:.2f} to {role.share.high:.2f})",
            role.chance or 0.0,
        )
        for role in records
        if role.metric == HEADLINE_METRIC
    ]


def heatmaps(matrix: Mapping[str, Any]) -> list[Heatmap]:
    """Return one heatmap for each metric that does not repeat the headline metric."""
    again = repeated(matrix)
    return [_heatmap(matrix, metric) for metric in matrix["metrics"] if metric not in again]


def repeated(matrix: Mapping[str, Any]) -> list[str]:
    """Return the metrics with the headline metric's figures: map@r, where each query has one right image."""
    figures = matrix["metrics"]
    return [name for name in figures if name != HEADLINE_METRIC and figures[name] == figures[HEADLINE_METRIC]]


def value(matrix: Mapping[str, Any], query: str, gallery: str) -> float | None:
    """Return M(query, gallery) of the headline metric; None for a pair that cannot be measured."""
    figure = matrix["metrics"][HEADLINE_METRIC][query][gallery]
    return None if figure is None else float(figure)


def points(matrix: Mapping[str, Any] | None, lines: Sequence[Line]) -> list[Point]:
    """Return every model with its cost: its queries in the cloud's gallery, in torch and on the devices."""
    results: list[Point] = []
    if matrix is not None:
        cloud = cloud_name(matrix)
        costs = matrix.get("costs") or {}
        for name in matrix["models"]:
            accuracy = value(matrix, name, cloud)
            if accuracy is not None and costs.get(name, {}).get("macs"):
                ends = interval(matrix, HEADLINE_METRIC, name, cloud)
                kind = "cloud" if name == cloud else "student"
                results.append(Point(name, int(costs[name]["macs"]), accuracy, kind, True, *ends))
    return results + _device_points(lines, {point.name: point.value for point in results})


def _device_points(lines: Sequence[Line], in_torch: Mapping[str, float]) -> list[Point]:
    """Return one point per bundle, for its worst target; labelled only if it differs visibly from the student's own."""
    worst: dict[str, tuple[float, Line]] = {}
    for line in lines:
        accuracy = line.figure("retrieval", HEADLINE_METRIC)
        if accuracy is not None and (line.bundle not in worst or accuracy < worst[line.bundle][0]):
            worst[line.bundle] = (accuracy, line)
    points: list[Point] = []
    for name, (accuracy, line) in worst.items():
        labelled = name not in in_torch or abs(in_torch[name] - accuracy) > _NOTABLE
        points.append(Point(f"{name} on {line.target}", line.figure("cost", "macs"), accuracy, "device", labelled))
    return points


def interval(matrix: Mapping[str, Any], metric: str, query: str, gallery: str) -> tuple[float | None, float | None]:
    """Return the ends of the interval of M(query, gallery), if the matrix has one."""
    ends = (matrix.get("intervals") or {}).get(metric, {}).get(query, {}).get(gallery)
    return (None, None) if ends is None else (float(ends["low"]), float(ends["high"]))


def _heatmap(matrix: Mapping[str, Any], metric: str) -> Heatmap:
    values = matrix["metrics"][metric]
    models = list(matrix["models"])
    measured = [float(values[q][g]) for q in models for g in models if values[q][g] is not None]
    largest = max(measured, default=1.0) or 1.0

    def cell(query: str, gallery: str) -> Cell:
        if values[query][gallery] is None:
            return Cell(None, 0.0)
        low, high = interval(matrix, metric, query, gallery)
        interval_text = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
        figure = float(values[query][gallery])
        return Cell(figure, max(0.0, figure) / largest, interval_text)

    return Heatmap(metric, models, [(query, [cell(query, gallery) for gallery in models]) for query in models])
