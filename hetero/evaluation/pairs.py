"""Searches of every gallery by every query model: the base of matrices, rules and decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from hetero.metrics.retrieval import TaskResult, evaluate_tasks
from hetero.metrics.task import RetrievalTask
from hetero.schema import record


@record
class MissingPair:
    """A pair of models that cannot be measured, and the reason."""

    query_model: str
    gallery_model: str
    reason: str


@dataclass(frozen=True)
class Pairs:
    """All pairs of some models, measured.

    Attributes:
        models: Names of the models.
        tasks: Query and gallery images of each task.
        results: (query model, gallery model) -> each query's values, for pairs that can be measured.
        missing: The other pairs, with the reasons.
    """

    models: tuple[str, ...]
    tasks: tuple[RetrievalTask, ...]
    results: Mapping[tuple[str, str], TaskResult]
    missing: tuple[MissingPair, ...] = ()


def measure_pairs(
    embeddings: Mapping[str, Float32[np.ndarray, "n _"]],
    labels: Int64[np.ndarray, " n"],
    tasks: Sequence[RetrievalTask],
    *,
    metrics: Sequence[str] | None = None,
    shortened: Callable[[NDArray[np.float32], int], NDArray[np.float32]] | None = None,
) -> Pairs:
    """Measure every query model against every gallery model, each pair by one search a task.

    Args:
        embeddings: Model name -> float32 [n, d], its vectors of the same n images.
        labels: int64 [n], the class of each image.
        tasks: Query and gallery images of each task.
        metrics: Names, see :mod:`hetero.metrics.registry`; None for all metrics of a full evaluation.
        shortened: Reduces longer vectors to a space of fewer dimensions, for instance
            :func:`hetero.gallery.truncate.truncated`; None if such pairs cannot be compared.

    Raises:
        InputError: When a task cannot be measured.
    """
    results: dict[tuple[str, str], TaskResult] = {}
    missing: list[MissingPair] = []
    for query_model, queries in embeddings.items():
        for gallery_model, gallery in embeddings.items():
            left, right = queries, gallery
            if shortened:
                left, right = (shortened(side, min(left.shape[1], right.shape[1])) for side in (left, right))
            if left.shape[1] != right.shape[1]:
                reason = f"vectors of {left.shape[1]} and {right.shape[1]} dimensions cannot be compared"
                missing.append(MissingPair(query_model, gallery_model, reason))
            else:
                results[query_model, gallery_model] = evaluate_tasks(left, right, labels, tasks, metrics=metrics)
    return Pairs(tuple(embeddings), tuple(tasks), results, tuple(missing))
