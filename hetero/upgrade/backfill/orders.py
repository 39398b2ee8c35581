"""In which order to re-embed: each way gives every gallery image an urgency, the highest goes first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from hetero.metrics.backfill import Backfill
from hetero.metrics.nearest import search
from hetero.upgrade.truncate import truncated

Urgency = Float64[NDArray[np.float64], " g"]

CANDIDATES = 10


def most_retrieved(backfill: Backfill) -> Urgency:
    """How often the queries find an image in the old gallery: a hit at rank r counts 1 / r, ten ranks deep."""
    rows = _hits(backfill)
    weight = np.broadcast_to(1 / np.arange(1, rows.shape[1] + 1), rows.shape)
    return np.bincount(rows.ravel(), weight.ravel(), len(backfill.old)).astype(np.float64)


def most_misleading(backfill: Backfill) -> Urgency:
    """How often an image stands before the first right one; needs the class of every gallery image.

    Counts like :func:`most_retrieved`, of those hits only.
    """
    rows = _hits(backfill)
    right = backfill.gallery_labels[rows] == backfill.query_labels[:, None]
    before = np.cumsum(right, axis=1) == 0
    weight = before / np.arange(1, rows.shape[1] + 1)
    return np.bincount(rows.ravel(), weight.ravel(), len(backfill.old)).astype(np.float64)


def most_displaced(backfill: Backfill) -> Urgency:
    """How far an image moves: 1 - cosine of its old vector and its new one as the old space reads it."""
    moved = truncated(backfill.new, backfill.old.shape[1])
    return 1 - np.einsum("gc,gc->g", moved, backfill.old, dtype=np.float64)


def most_misplaced(backfill: Backfill) -> Urgency:
    """How far an old vector lies on another class's side; needs the class of every gallery image.

    Cosine with the nearest other class's mean minus cosine with its own class's mean, the means being those of the
    gallery's new vectors as the old space reads them.
    """
    classes, own = np.unique(backfill.gallery_labels, return_inverse=True)
    means = np.zeros((len(classes), backfill.old.shape[1]), np.float32)
    np.add.at(means, own, truncated(backfill.new, backfill.old.shape[1]))
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    own_cosine = np.einsum("gc,gc->g", backfill.old, means[own])
    if len(classes) == 1:
        return -own_cosine.astype(np.float64)
    nearest_other = search(backfill.old, means, 1, exclude=own).scores[:, 0]
    return (nearest_other - own_cosine).astype(np.float64)


def least_certain(backfill: Backfill) -> Urgency:
    """How readily an old vector is taken for another image: it looks at no label.

    Cosine with the nearest of the other images' new vectors, as the old space reads them, minus cosine with its own.
    """
    moved = truncated(backfill.new, backfill.old.shape[1])
    own_cosine = np.einsum("gc,gc->g", moved, backfill.old, dtype=np.float64)
    nearest_other = search(backfill.old, moved, 1, exclude=np.arange(len(moved))).scores[:, 0]
    return nearest_other - own_cosine


WITHOUT_LABELS: dict[str, Callable[[Backfill], Urgency]] = {
    "most-retrieved": most_retrieved,
    "most-displaced": most_displaced,
    "least-certain": least_certain,
}
WITH_LABELS: dict[str, Callable[[Backfill], Urgency]] = {
    "most-misleading": most_misleading,
    "most-misplaced": most_misplaced,
}


def by_urgency(urgency: Urgency, seed: int) -> Int64[NDArray[np.int64], " g"]:
    """Gallery rows, the most urgent first; ties in an order that the seed decides.

    Rows often lie class by class: leaving ties as they are would re-embed one class after the other.
    """
    return np.lexsort((np.random.default_rng(seed).permutation(len(urgency)), -urgency))


def _hits(backfill: Backfill) -> NDArray[np.int64]:
    """int64 [q, up to ten], what the queries find before anything is re-embedded."""
    query, gallery = backfill.sides(np.zeros(len(backfill.old), bool))
    most = len(gallery) - bool((backfill.exclude >= 0).any())
    return search(query, gallery, min(CANDIDATES, most), exclude=backfill.exclude).rows
