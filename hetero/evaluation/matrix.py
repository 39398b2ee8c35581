"""The compatibility matrix: M(q, g) for every query model and every gallery model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from hetero.errors import InputError
from hetero.evaluation.pairs import MissingPair, Pairs, measure_pairs
from hetero.evaluation.roles import Role, roles_of
from hetero.evaluation.rule import Rule, compatibility_rule
from hetero.files import write_json
from hetero.metrics.bootstrap import Interval, mean_interval
from hetero.metrics.registry import at_depths
from hetero.metrics.retrieval import TaskResult, is_comparable
from hetero.metrics.task import RetrievalTask
from hetero.schema import parse_file, record
from hetero.text.described import DescribedImages

SCHEMA = "hetero/matrix/1"

Cells = dict[str, dict[str, dict[str, float | None]]]


@record
class TaskSummary:
    """The size of a task."""

    name: str
    queries: int
    gallery: int
    exclude_self: bool


@record
class ModelCost:
    """Multiply-accumulates of one image, and parameters."""

    macs: int
    parameters: int


@record
class CompatibilityMatrix:
    """M over all pairs of models, averaged over tasks.

    Attributes:
        models: Names, in the order of rows and columns.
        metrics: metric -> query model -> gallery model -> value; ``None`` for a pair that cannot be measured, or a
            metric that is defined for none of its queries.
        intervals: Bootstrap intervals over classes, arranged like ``metrics``.
        tasks: The tasks averaged over.
        per_task: metric -> task -> query model -> gallery model -> value.
        missing: Reason for each pair that is ``None``.
        rules: Outcome of M(q, g) > M(q, q), for each query model against the chosen gallery model, in each metric
            whose larger values are better.
        roles: Each model in the chosen gallery model's place on one side of a search: as the model of the gallery, and
            where there are texts, on the images' side of a search between texts and images.
        costs: model -> cost, for models whose cost is known.
        space_id: The gallery's embedding space, empty when it is not known.
        level: Coverage of the intervals.
        resamples: Bootstrap samples behind them.
        seed: Seed of the resampling.
        schema: Version of this record.
    """

    models: tuple[str, ...]
    metrics: Cells
    intervals: dict[str, dict[str, dict[str, Interval | None]]]
    tasks: tuple[TaskSummary, ...]
    per_task: dict[str, Cells]
    missing: tuple[MissingPair, ...] = ()
    rules: tuple[Rule, ...] = ()
    roles: tuple[Role, ...] = ()
    costs: dict[str, ModelCost] | None = None
    space_id: str = ""
    level: float = 0.95
    resamples: int = 2000
    seed: int = 0
    schema: Literal["hetero/matrix/1"] = SCHEMA

    def value(self, metric: str, query_model: str, gallery_model: str) -> float | None:
        """Return M(query model, gallery model)."""
        return self.metrics[metric][query_model][gallery_model]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable record."""
        return asdict(self)

    def save(self, path: Path) -> None:
        """Write ``matrix.json`` atomically."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: Path) -> CompatibilityMatrix:
        """Read ``matrix.json``.

        Raises:
            InputError: When the file is missing.
            IntegrityError: When it is not a valid record.
        """
        if not path.is_file():
            raise InputError(f"expected a compatibility matrix at {path}, found no file")
        return parse_file(cls, path)


def compatibility_matrix(
    embeddings: Mapping[str, Float32[np.ndarray, "n _"]],
    labels: Int64[np.ndarray, " n"],
    tasks: Sequence[RetrievalTask],
    *,
    gallery_model: str | None = None,
    costs: Mapping[str, ModelCost] | None = None,
    space_id: str = "",
    metrics: Sequence[str] | None = None,
    ks: Sequence[int] | None = None,
    shortened: Callable[[NDArray[np.float32], int], NDArray[np.float32]] | None = None,
    texts: DescribedImages | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> CompatibilityMatrix:
    """Measure every query model against every gallery model.

    Args:
        embeddings: Model name -> float32 [n, d], its vectors of the same n images.
        labels: int64 [n], the class of each image.
        tasks: Query and gallery images of each task; values are means over tasks.
        gallery_model: The model that embeds the gallery in use (the cloud model): the compatibility rule is tested
            for each other model against it.
        costs: Model name -> cost; only recorded.
        space_id: Embedding space of the gallery; only recorded.
        metrics: Names, see :mod:`hetero.metrics.registry`; None for all metrics of a full evaluation.
        ks: The k of ``cmc@k`` where no metrics are named; None for 1 and 10.
        shortened: Reduces longer vectors to a space of fewer dimensions, for instance
            :func:`hetero.gallery.truncate.truncated`; None if such pairs cannot be compared.
        texts: Texts of the gallery model's space with these images, see :meth:`hetero.text.vectors.TextVectors.of`.
        resamples: Bootstrap samples of the intervals, which are over classes.
        level: Coverage of the intervals.
        seed: Seed of the resampling.

    Raises:
        InputError: For unknown names, or when a task cannot be measured.
    """
    _check(tuple(embeddings), gallery_model, costs)
    pairs = measure_pairs(embeddings, labels, tasks, metrics=at_depths(metrics, ks), shortened=shortened)
    return matrix_of(
        pairs,
        embeddings,
        labels,
        texts=texts,
        gallery_model=gallery_model,
        costs=costs,
        space_id=space_id,
        resamples=resamples,
        level=level,
        seed=seed,
    )


def matrix_of(
    pairs: Pairs,
    embeddings: Mapping[str, Float32[np.ndarray, "n _"]],
    labels: Int64[np.ndarray, " n"],
    *,
    texts: DescribedImages | None = None,
    gallery_model: str | None = None,
    costs: Mapping[str, ModelCost] | None = None,
    space_id: str = "",
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> CompatibilityMatrix:
    """Return the matrix of pairs that are measured already; arguments as for :func:`compatibility_matrix`.

    Raises:
        InputError: For unknown names.
    """
    _check(pairs.models, gallery_model, costs)
    options: dict[str, Any] = {"resamples": resamples, "level": level, "seed": seed}
    return CompatibilityMatrix(
        models=pairs.models,
        tasks=tuple(TaskSummary(t.name, len(t.query), len(t.gallery), t.exclude_self) for t in pairs.tasks),
        missing=pairs.missing,
        rules=() if gallery_model is None else _rules(pairs, gallery_model, options),
        roles=() if gallery_model is None else roles_of(pairs, gallery_model, embeddings, labels, texts, **options),
        costs=None if costs is None else dict(costs),
        space_id=space_id,
        **_tables(pairs, options),
        **options,
    )


def _tables(pairs: Pairs, options: dict[str, Any]) -> dict[str, Any]:
    results, names = pairs.results, pairs.models
    example = next(iter(results.values()))

    def table(cell: Any) -> dict[str, Any]:
        return {q: {g: cell(results[q, g]) if (q, g) in results else None for g in names} for q in names}

    def interval(result: TaskResult, metric: str) -> Interval | None:
        if math.isnan(result.mean(metric)):
            return None
        return mean_interval(result.per_query(metric), clusters=result.labels, **options)

    return {
        "metrics": {m: table(lambda result, m=m: _defined(result.mean(m))) for m in example.metrics},
        "intervals": {m: table(lambda result, m=m: interval(result, m)) for m in example.metrics},
        "per_task": {
            m: {t: table(lambda result, m=m, t=t: _defined(result.task_means(m)[t])) for t in example.tasks}
            for m in example.metrics
        },
    }


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value


def _rules(pairs: Pairs, gallery_model: str, options: dict[str, Any]) -> tuple[Rule, ...]:
    results = pairs.results
    best = results[gallery_model, gallery_model]
    return tuple(
        compatibility_rule(
            results[name, gallery_model],
            results[name, name],
            query_model=name,
            gallery_model=gallery_model,
            metric=metric,
            gallery=best,
            **options,
        )
        for name in pairs.models
        if name != gallery_model and (name, gallery_model) in results
        for metric in results[name, name].metrics
        if is_comparable(metric, results[name, gallery_model], results[name, name], best)
    )


def _check(models: Sequence[str], gallery_model: str | None, costs: Mapping[str, ModelCost] | None) -> None:
    problems: list[str] = []
    if not models:
        problems.append("embeddings: expected at least one model")
    if gallery_model is not None and gallery_model not in models:
        problems.append(f"gallery_model: expected one of {list(models)}, got {gallery_model!r}")
    if unknown := sorted(set(costs or {}) - set(models)):
        problems.append(f"costs: of models that are not in the matrix: {unknown}")
    if problems:
        raise InputError("cannot compute a compatibility matrix:", problems)
