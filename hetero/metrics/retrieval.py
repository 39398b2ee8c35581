"""Retrieval figures of the metrics in :mod:`hetero.metrics.registry`, one value for each query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from hetero.errors import InputError
from hetero.metrics.defined import mean, mean_over_tasks
from hetero.metrics.nearest import search
from hetero.metrics.registry import Found, Metric, at_depths, metric_called
from hetero.metrics.task import RetrievalTask
from hetero.mistakes import attempt

HITS_AT_ONCE = 2**22
FEWEST_CLASSES = 30
"""With fewer classes a bootstrap resamples queries, because so few classes say little about others."""

PerQuery = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class TaskResult:
    """The result of :func:`evaluate_tasks`.

    Attributes:
        tasks: Names of the tasks.
        values: For each task, metric name -> float64 [q], in the order of the task's queries; NaN where a metric is not
            defined.
        labels: For each task, int64 [q], the class of each query.
    """

    tasks: tuple[str, ...]
    values: tuple[PerQuery, ...]
    labels: tuple[NDArray[np.int64], ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics."""
        return tuple(self.values[0])

    def per_query(self, metric: str) -> list[NDArray[np.float64]]:
        """Return one float64 [q] array for each task."""
        return [values[metric] for values in self.values]

    def task_means(self, metric: str) -> dict[str, float]:
        """Return each task's mean over its queries; NaN where the metric is defined for none of them."""
        return {name: mean(values[metric]) for name, values in zip(self.tasks, self.values, strict=True)}

    def mean(self, metric: str) -> float:
        """Return the mean over tasks of each task's mean: all tasks with a value weigh the same."""
        return mean_over_tasks(self.per_query(metric))

    @property
    def resampled(self) -> Literal["classes", "queries"]:
        """The unit of resampling: classes, whose queries are not independent, or queries when classes are few."""
        return "classes" if len(np.unique(np.concatenate(self.labels))) >= FEWEST_CLASSES else "queries"

    def clusters(self, over: str) -> list[NDArray[np.int64]] | None:
        """Return the clusters of a bootstrap ``over`` classes or queries: the labels, or None for ``"queries"``."""
        if over not in ("classes", "queries"):
            raise InputError(f"expected intervals over 'classes' or 'queries', got {over!r}")
        return list(self.labels) if over == "classes" else None

    def require_same_queries(self, other: TaskResult) -> None:
        """Refuse a paired comparison with a result of other tasks or queries."""
        if self.tasks != other.tasks or not all(map(np.array_equal, self.labels, other.labels)):
            raise InputError(
                f"both sides must be measured on the same queries of the same tasks, got tasks {self.tasks} and "
                f"{other.tasks} with {[len(task) for task in self.labels]} and {[len(task) for task in other.labels]} "
                "queries"
            )


def evaluate(
    query: Float32[np.ndarray, "q d"],
    gallery: Float32[np.ndarray, "g d"],
    query_labels: Int64[np.ndarray, " q"],
    gallery_labels: Int64[np.ndarray, " g"],
    *,
    exclude: Int64[np.ndarray, " q"] | None = None,
    metrics: Sequence[str] | None = None,
    ks: Sequence[int] | None = None,
    recall_ks: Sequence[int] = (),
) -> PerQuery:
    """Measure each query against a gallery; an image is relevant when it has the query's label.

    The metrics are defined in :mod:`hetero.metrics.registry` and ``docs/metrics.md``. Memory stays bounded, see
    :func:`search`.

    Args:
        query: float32 [q, d], vectors of the queries.
        gallery: float32 [g, d], vectors of the gallery.
        query_labels: int64 [q], the class of each query.
        gallery_labels: int64 [g], the class of each gallery image.
        exclude: int64 [q], the gallery row that is the query itself (leave-one-out); -1 for none.
        metrics: Names, for instance ``cmc@5`` or ``map@r``; None for all metrics of a full evaluation.
        ks: The k of ``cmc@k`` where no metrics are named; None for 1 and 10.
        recall_ks: The k of ``recall@k`` where no metrics are named.

    Returns:
        Metric name -> float64 [q].

    Raises:
        InputError: For arrays that do not fit together, unknown metrics, or queries without a relevant image in the
            gallery.
    """
    names = at_depths(metrics, ks, recall_ks)
    figures = _check(query, gallery, query_labels, gallery_labels, exclude, names)
    left_out = np.full(len(query), -1, np.int64) if exclude is None else exclude
    relevant = _relevant(query_labels, gallery_labels, left_out)
    values = {metric.name: np.zeros(len(query)) for metric in figures}
    for chunk, depth in _chunks(relevant, left_out, max(metric.depth or 1 for metric in figures), len(gallery)):
        hits = search(query[chunk], gallery, depth, exclude=left_out[chunk])
        found = Found(gallery_labels[hits.rows] == query_labels[chunk, None], relevant[chunk])
        for metric in figures:
            values[metric.name][chunk] = metric.values(found.within(metric.depth))
    return values


def evaluate_tasks(
    query_embeddings: Float32[np.ndarray, "n d"],
    gallery_embeddings: Float32[np.ndarray, "n d"],
    labels: Int64[np.ndarray, " n"],
    tasks: Sequence[RetrievalTask],
    *,
    metrics: Sequence[str] | None = None,
    ks: Sequence[int] | None = None,
    recall_ks: Sequence[int] = (),
) -> TaskResult:
    """Measure a query model against a gallery model on every task of a data set.

    Args:
        query_embeddings: float32 [n, d], the query model's vectors of all images.
        gallery_embeddings: float32 [n, d], the gallery model's vectors of the same images.
        labels: int64 [n], the class of each image.
        tasks: Rows of these images.
        metrics: See :func:`evaluate`.
        ks: See :func:`evaluate`.
        recall_ks: See :func:`evaluate`.

    Raises:
        InputError: When there is no task, or a task cannot be measured; the message names it.
    """
    if not tasks:
        raise InputError("expected at least one retrieval task, got none")
    if len({len(query_embeddings), len(gallery_embeddings), len(labels)}) != 1:
        raise InputError(
            "expected one vector of each model and one label an image, got "
            f"{len(query_embeddings)} query vectors, {len(gallery_embeddings)} gallery vectors and {len(labels)} labels"
        )
    values: list[PerQuery] = []
    names = at_depths(metrics, ks, recall_ks)
    for task in tasks:
        exclude = rows_of_self(task) if task.exclude_self else None
        query, gallery = query_embeddings[task.query], gallery_embeddings[task.gallery]
        try:
            sides = (query, gallery, labels[task.query], labels[task.gallery])
            values.append(evaluate(*sides, exclude=exclude, metrics=names))
        except InputError as error:
            raise InputError(f"task {task.name}: {error}") from None
    return TaskResult(tuple(task.name for task in tasks), tuple(values), tuple(labels[task.query] for task in tasks))


def is_comparable(metric: str, *results: TaskResult) -> bool:
    """Return True if larger values of a metric are better and each result has one, so that differences make sense."""
    return metric_called(metric).larger_is_better and not any(np.isnan(result.mean(metric)) for result in results)


def rows_of_self(task: RetrievalTask) -> NDArray[np.int64]:
    """Return int64 [q]: the place of each query image in the task's gallery, -1 for none.

    Raises:
        InputError: When the gallery holds an image twice.
    """
    order = np.argsort(task.gallery, kind="stable")
    ordered = task.gallery[order]
    if (ordered[1:] == ordered[:-1]).any():
        raise InputError(f"task {task.name}: the gallery holds an image more than once, so leaving one out is unclear")
    if not len(ordered):
        return np.full(len(task.query), -1, np.int64)
    place = np.minimum(np.searchsorted(ordered, task.query), len(ordered) - 1)
    return np.where(ordered[place] == task.query, order[place], -1)


def _chunks(
    relevant: NDArray[np.int64], left_out: NDArray[np.int64], largest_k: int, gallery: int
) -> Iterator[tuple[NDArray[np.int64], int]]:
    """Yield queries to search together and the number of hits they need: ``HITS_AT_ONCE`` in all, or a single query."""
    for excluding in (False, True):
        rest = np.flatnonzero((left_out >= 0) == excluding)
        rest = rest[np.argsort(relevant[rest], kind="stable")]  # neighbours then need similar numbers of hits
        depths = np.minimum(np.maximum(relevant[rest], largest_k), gallery - excluding)
        while len(rest):
            fits = depths * np.arange(1, len(rest) + 1) <= HITS_AT_ONCE  # depths ascend: true, then false
            size = max(1, int(fits.sum()))
            yield rest[:size], int(depths[size - 1])
            rest, depths = rest[size:], depths[size:]


def _relevant(
    query_labels: NDArray[np.int64], gallery_labels: NDArray[np.int64], left_out: NDArray[np.int64]
) -> NDArray[np.int64]:
    classes, sizes = np.unique(gallery_labels, return_counts=True)
    place = np.minimum(np.searchsorted(classes, query_labels), len(classes) - 1)
    relevant = np.where(classes[place] == query_labels, sizes[place], 0)
    relevant = relevant - ((left_out >= 0) & (gallery_labels[left_out] == query_labels))
    without = np.flatnonzero(relevant == 0)
    if len(without):
        labels = np.unique(query_labels[without])
        raise InputError(
            f"{len(without)} of {len(query_labels)} queries have no image of their class in the gallery "
            f"(first labels: {labels[:5].tolist()}); add such images or leave these queries out"
        )
    return relevant


def _check(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    query_labels: NDArray[np.int64],
    gallery_labels: NDArray[np.int64],
    exclude: NDArray[np.int64] | None,
    metrics: Sequence[str],
) -> list[Metric]:
    problems: list[str] = []
    for name, vectors, labels in (("query", query, query_labels), ("gallery", gallery, gallery_labels)):
        if not len(vectors):
            problems.append(f"{name}: expected at least one vector, got none")
        if labels.shape != (len(vectors),):
            problems.append(f"{name}: expected {len(vectors)} labels, one a vector, got shape {list(labels.shape)}")
    if exclude is not None and (
        exclude.shape != (len(query),) or not ((exclude >= -1) & (exclude < len(gallery))).all()
    ):
        problems.append(f"exclude: expected one gallery row a query, or -1; got shape {list(exclude.shape)}")
    figures = [attempt(problems, "metrics", partial(metric_called, name)) for name in metrics]
    if not figures:
        problems.append("metrics: expected at least one, got none")
    if problems:
        raise InputError("cannot evaluate:", problems)
    return [metric for metric in figures if metric is not None]
