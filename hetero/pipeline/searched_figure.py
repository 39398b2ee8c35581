"""The searched students after training, beside the recipe's other models: the picture of an evaluated run."""

from __future__ import annotations

from hetero.evaluation.matrix import CompatibilityMatrix
from hetero.nas.figures.front import Trained, trained_figure
from hetero.pipeline.recipe import Recipe


def evaluated_figure(recipe: Recipe, matrix: CompatibilityMatrix) -> bytes:
    """Draw every student of a run that lives in the cloud's space, by cost; the searched ones are marked."""
    metric, cloud = recipe.search.metric, recipe.cloud.name
    searched = {tier.name for tier in recipe.tiers}
    names = [student.name for student in recipe.all_students if not student.independent]
    points = [_point(matrix, metric, name, cloud, name in searched) for name in names]
    own = matrix.value(metric, cloud, cloud)
    if own is not None:
        points.append(Trained(cloud, "cloud", 0.0, own))
    return trained_figure([point for point in points if point is not None], metric)


def _point(matrix: CompatibilityMatrix, metric: str, name: str, cloud: str, searched: bool) -> Trained | None:
    value, interval = matrix.value(metric, name, cloud), matrix.intervals[metric][name][cloud]
    cost = (matrix.costs or {}).get(name)
    if value is None or cost is None:
        return None
    ends = (None, None) if interval is None else (interval.low, interval.high)
    return Trained(name, "searched" if searched else "hand-made", float(cost.macs), value, *ends)
