"""1:1 verification: TAR at a FAR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from hetero.errors import InputError
from hetero.evaluation.operating_point import ComparisonScores, most_accepted, operating_point
from hetero.evaluation.score_histogram import ScoreHistogram, edge
from hetero.schema import record

SCORES_AT_ONCE = 2**22


@record
class Verification:
    """Genuine and impostor pairs at one threshold.

    Attributes:
        far_asked: The false accept rate asked for.
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
    """TAR at the lowest threshold whose FAR is at most ``far``; exact.

    Args:
        scores: Of genuine (mated) and impostor (non-mated) pairs.
        far: False accept rate, 0 to 1.

    Raises:
        InputError: When the rate is not between 0 and 1.
    """
    point = operating_point(scores, far)
    return Verification(far, *point, genuine=len(scores.mated), impostor=len(scores.non_mated))


def verify_all_pairs(
    query: Float32[NDArray[np.float32], "q d"],
    gallery: Float32[NDArray[np.float32], "g d"],
    query_labels: Int64[NDArray[np.int64], " q"],
    gallery_labels: Int64[NDArray[np.int64], " g"],
    fars: Sequence[float],
    *,
    exclude: Int64[NDArray[np.int64], " q"] | None = None,
) -> tuple[Verification, ...]:
    """TAR at several FARs over every pair of a query and a gallery image; a pair is genuine when the labels agree.

    Memory does not grow with the number of pairs: scores are counted, not kept. FAR and TAR are exact for the
    threshold that is reported. Thresholds are multiples of 2**-20: the lowest possible one (which
    :func:`tar_at_far` finds) is missed by at most that.

    Args:
        query: float32 [q, d], unit vectors.
        gallery: float32 [g, d], unit vectors; may be a memory map.
        query_labels: int64 [q].
        gallery_labels: int64 [g].
        fars: False accept rates, 0 to 1.
        exclude: int64 [q], the gallery row that is the query itself; -1 for none.

    Raises:
        InputError: For arrays that do not fit together, vectors that are not of length one, or no pair of a kind.
    """
    _check(query, gallery, query_labels, gallery_labels, exclude)
    every, genuine = ScoreHistogram(), ScoreHistogram()
    for rows, columns in _blocks(len(query), len(gallery)):
        scores = query[rows] @ gallery[columns].T
        same = query_labels[rows, None] == gallery_labels[columns]
        if exclude is not None:
            inside = np.flatnonzero((exclude[rows] >= columns.start) & (exclude[rows] < columns.stop))
            selves = inside, exclude[rows][inside] - columns.start
            every.add(scores[selves], sign=-1)
            same[selves] = False
        every.add(scores)
        genuine.add(scores[same])
    return _points(genuine, every, fars)


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


def _blocks(queries: int, gallery: int) -> Iterator[tuple[slice, slice]]:
    width = min(gallery, 8192)
    height = max(1, SCORES_AT_ONCE // width)
    for start in range(0, queries, height):
        for first in range(0, gallery, width):
            yield slice(start, min(start + height, queries)), slice(first, min(first + width, gallery))


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
