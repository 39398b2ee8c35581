"""The compatibility matrix as tables, and what it says about each student."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from device_tests.report.plots import Point
from device_tests.report.table import Line

HEADLINE_METRIC = "cmc@1"


@dataclass(frozen=True)
class Cell:
    """M(query model, gallery model).

    Attributes:
        value: The metric.
        shade: 0 to 1, how dark the cell is.
        interval: For instance ``0.51 to 0.60``; empty when there is none.
    """

    value: float
    shade: float
    interval: str = ""


@dataclass(frozen=True)
class Heatmap:
    """One metric over all pairs of models: ``rows`` holds a query model's name and its cells."""

    metric: str
    models: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell]]]


def cloud_name(matrix: Mapping[str, Any]) -> str:
    """The model that defines the space: named, else the costliest, else the first."""
    costs = matrix.get("costs") or {}
    named = matrix.get("cloud")
    if isinstance(named, str) and named in matrix["models"]:
        return named
    return max(matrix["models"], key=lambda name: costs.get(name, {}).get("macs", 0))


def heatmaps(matrix: Mapping[str, Any]) -> list[Heatmap]:
    """One for each metric."""
    return [_heatmap(matrix, metric) for metric in matrix["metrics"]]


def value(matrix: Mapping[str, Any], query: str, gallery: str) -> float:
    """M(query, gallery) of the headline metric."""
    return float(matrix["metrics"][HEADLINE_METRIC][query][gallery])


def points(matrix: Mapping[str, Any] | None, lines: Sequence[Line]) -> list[Point]:
    """Every model with its cost: as the cloud's gallery sees its queries, in torch and on the devices."""
    found: list[Point] = []
    if matrix is not None:
        cloud = cloud_name(matrix)
        costs = matrix.get("costs") or {}
        for name in matrix["models"]:
            if costs.get(name, {}).get("macs"):
                low, high = interval(matrix, HEADLINE_METRIC, name, cloud)
                kind = "cloud" if name == cloud else "student"
                found.append(Point(name, costs[name]["macs"], value(matrix, name, cloud), kind, low, high))
    best: dict[tuple[str, str], Point] = {}
    for line in lines:
        accuracy, macs = line.figure("retrieval", HEADLINE_METRIC), line.figure("cost", "macs")
        key = (line.bundle, line.target)
        # Targets reproduce torch's figures, so one mark for a bundle says all; the worst of them is the honest one.
        if accuracy is not None and macs and (key not in best or accuracy < best[key].value):
            best[key] = Point(f"{line.bundle} on {line.target}", macs, accuracy, "device")
    return found + list(best.values())


def interval(matrix: Mapping[str, Any], metric: str, query: str, gallery: str) -> tuple[float | None, float | None]:
    """Ends of the interval of M(query, gallery), where the matrix has one."""
    held = (matrix.get("intervals") or {}).get(metric, {}).get(query, {}).get(gallery)
    if isinstance(held, Mapping):
        return float(held["low"]), float(held["high"])
    if isinstance(held, Sequence) and len(held) == 2:
        return float(held[0]), float(held[1])
    return None, None


def _heatmap(matrix: Mapping[str, Any], metric: str) -> Heatmap:
    values = matrix["metrics"][metric]
    models = list(matrix["models"])
    largest = max(values[query][gallery] for query in models for gallery in models) or 1.0

    def cell(query: str, gallery: str) -> Cell:
        low, high = interval(matrix, metric, query, gallery)
        told = "" if low is None or high is None else f"{low:.3f} to {high:.3f}"
        return Cell(values[query][gallery], max(0.0, values[query][gallery]) / largest, told)

    return Heatmap(metric, models, [(query, [cell(query, gallery) for gallery in models]) for query in models])
