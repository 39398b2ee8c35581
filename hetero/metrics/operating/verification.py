"""1:1 verification: TAR at a FAR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from hetero.errors import InputError
from hetero.metrics.bootstrap import Interval, function_interval
from hetero.metrics.operating.operating_point import ComparisonScores, most_accepted, operating_point
from hetero.metrics.operating.score_histogram import ScoreHistogram, edge
from hetero.metrics.operating.sides import Sides
from hetero.schema import record

SCORES_AT_ONCE = 2**22


@record
class Verification:
    """Genuine and impostor pairs at one threshold.

    Attributes:
        far_asked: The requested false accept rate.
        threshold: A pair is accepted when its cosine is at least this.
        far: Share of impostor pairs accepted, at most ``far_asked``.
        tar: Share of genuine pairs accepted.
        genuine: Number of genuine pairs.
        impostor: Number of impostor pairs; a FAR below 1 / ``impostor`` cannot be told from zero.
    """

    far_asked: float
    threshold: float
    far: float
    tar: float
    genuine: int
    impostor: int


def tar_at_far(scores: ComparisonScores, far: float) -> Verification:
    """Compute TAR exactly, at the lowest threshold whose FAR is at most ``far``.

    Args:
        scores: Scores of genuine (mated) and impostor (non-mated) pairs.
        far: False accept rate, 0 to 1.

    Raises:
        InputError: When the rate is not between 0 and 1.
    """
    point = operating_point(scores, far)
    return Verification(far, *point, genuine=len(scores.mated), impostor=len(scores.non_mated))


def verify_all_pairs(
    query: Float32[np.ndarray, "q d"],
    gallery: Float32[np.ndarray, "g d"],
    query_labels: Int64[np.ndarray, " q"],
    gallery_labels: Int64[np.ndarray, " g"],
    fars: Sequence[float],
    *,
    exclude: Int64[np.ndarray, " q"] | None = None,
) -> tuple[Verification, ...]:
    """Compute TAR at several FARs over all pairs of a query and a gallery image; those of one label are genuine.

    Memory does not grow with the number of pairs: scores are counted, not stored. FAR and TAR are exact for the
    reported threshold. Thresholds are multiples of 2**-20, so they differ from the lowest possible one (which
    :func:`tar_at_far` finds) by at most that.

    Args:
        query: float32 [q, d], unit vectors.
        gallery: float32 [g, d], unit vectors; may be a memory map.
        query_labels: int64 [q], the class of each query.
        gallery_labels: int64 [g], the class of each gallery image.
        fars: False accept rates, 0 to 1.
        exclude: int64 [q], the gallery row that is the query itself; -1 for none.

    Raises:
        InputError: For arrays that do not fit together, vectors that are not of length one, or no pair of a kind.
    """
    return verify_pooled([Sides(query, gallery, query_labels, gallery_labels, exclude)], fars)


def tar_interval(
    query: Float32[np.ndarray, "q d"],
    gallery: Float32[np.ndarray, "g d"],
    query_labels: Int64[np.ndarray, " q"],
    gallery_labels: Int64[np.ndarray, " g"],
    threshold: float,
    *,
    exclude: Int64[np.ndarray, " q"] | None = None,
    over: Literal["queries", "classes"] = "classes",
    **resampling: Any,
) -> Interval:
    """Compute the interval of the TAR over every pair at a threshold of :func:`verify_all_pairs`.

    Queries, or classes of queries, are resampled with all of their genuine pairs. The threshold is fixed, because with
    so many impostor pairs it hardly varies (:func:`hetero.metrics.operating.intervals.true_rate_interval`, for scores
    in memory, varies it).

    Args:
        query: See :func:`verify_all_pairs`.
        gallery: See :func:`verify_all_pairs`.
        query_labels: See :func:`verify_all_pairs`.
        gallery_labels: See :func:`verify_all_pairs`.
        threshold: Lowest cosine of accepted pairs.
        exclude: See :func:`verify_all_pairs`.
        over: ``"classes"`` or ``"queries"``, the unit of resampling.
        **resampling: ``resamples``, ``level`` and ``seed``, see :func:`hetero.metrics.bootstrap.mean_interval`.

    Raises:
        InputError: For arrays that do not fit together, or without a genuine pair.
    """
    sides = Sides(query, gallery, query_labels, gallery_labels, exclude)
    return tar_interval_pooled([sides], threshold, over=over, **resampling)


def verify_pooled(tasks: Sequence[Sides], fars: Sequence[float]) -> tuple[Verification, ...]:
    """Compute the rates of :func:`verify_all_pairs` over the pairs of several searches, with one threshold for all.

    Args:
        tasks: At least one.
        fars: False accept rates, 0 to 1.

    Raises:
        InputError: See :func:`verify_all_pairs`.
    """
    every, genuine = ScoreHistogram(), ScoreHistogram()
    for sides in tasks:
        for block in _compared(sides):
            every.add(block.scores)
            every.add(block.scores[block.selves], sign=-1)
            genuine.add(block.scores[block.same])
    return _points(genuine, every, fars)


def tar_interval_pooled(
    tasks: Sequence[Sides],
    threshold: float,
    *,
    over: Literal["queries", "classes"] = "classes",
    **resampling: Any,
) -> Interval:
    """Compute the interval of :func:`tar_interval` over the pairs of several searches together.

    Args:
        tasks: At least one.
        threshold: A threshold of :func:`verify_pooled`.
        over: See :func:`tar_interval`.
        **resampling: See :func:`tar_interval`.

    Raises:
        InputError: See :func:`tar_interval`.
    """
    counts = [np.zeros((2, len(sides.query))) for sides in tasks]
    for sides, (accepted, genuine) in zip(tasks, counts, strict=True):
        for block in _compared(sides):
            accepted[block.rows] += (block.same & (block.scores >= threshold)).sum(axis=1)
            genuine[block.rows] += block.same.sum(axis=1)
    clusters = np.concatenate([sides.query_labels for sides in tasks]) if over == "classes" else None
    return function_interval(
        list(np.concatenate(counts, axis=1)), lambda m: m[:, 0] / m[:, 1], clusters=clusters, **resampling
    )


class _Block(NamedTuple):
    """Part of the queries compared with part of the gallery; ``selves`` are the places of queries in the gallery."""

    rows: slice
    scores: NDArray[np.float32]
    same: NDArray[np.bool_]
    selves: tuple[NDArray[np.int64], NDArray[np.int64]]


def _compared(sides: Sides) -> Iterator[_Block]:
    _check(*sides)
    query, gallery, query_labels, gallery_labels, exclude = sides
    left_out = np.full(len(query), -1) if exclude is None else exclude
    width = min(len(gallery), 8192)
    height = max(1, SCORES_AT_ONCE // width)
    for start in range(0, len(query), height):
        for first in range(0, len(gallery), width):
            rows, columns = slice(start, start + height), slice(first, first + width)
            same = query_labels[rows, None] == gallery_labels[columns]
            inside = np.flatnonzero((left_out[rows] >= first) & (left_out[rows] < first + width))
            selves = inside, left_out[rows][inside] - first
            same[selves] = False
            yield _Block(rows, query[rows] @ gallery[columns].T, same, selves)


def _points(genuine: ScoreHistogram, every: ScoreHistogram, fars: Sequence[float]) -> tuple[Verification, ...]:
    right, wrong = genuine.total, every.total - genuine.total
    if not right or not wrong:
        raise InputError(f"expected genuine and impostor pairs, at least one of each, got {right} and {wrong}")
    right_reaching = genuine.reaching()
    wrong_reaching = every.reaching() - right_reaching
    points: list[Verification] = []
    for far in fars:
        cell = int(np.argmax(wrong_reaching <= most_accepted(wrong, far)))  # the first that is low enough
        point = (edge(cell), wrong_reaching[cell] / wrong, right_reaching[cell] / right)
        points.append(Verification(far, *map(float, point), genuine=right, impostor=wrong))
    return tuple(points)


def _check(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32],
    query_labels: NDArray[np.int64],
    gallery_labels: NDArray[np.int64],
    exclude: NDArray[np.int64] | None,
) -> None:
    problems: list[str] = []
    if query.shape[1] != gallery.shape[1]:
        problems.append(f"vectors of {query.shape[1]} and {gallery.shape[1]} dimensions cannot be compared")
    for name, vectors, labels in (("query", query, query_labels), ("gallery", gallery, gallery_labels)):
        if labels.shape != (len(vectors),):
            problems.append(f"{name}: expected {len(vectors)} labels, one a vector, got shape {list(labels.shape)}")
    if exclude is not None and (
        exclude.shape != (len(query),) or not ((exclude >= -1) & (exclude < len(gallery))).all()
    ):
        problems.append(f"exclude: expected one gallery row a query, or -1; got shape {list(exclude.shape)}")
    if problems:
        raise InputError("cannot verify pairs:", problems)
