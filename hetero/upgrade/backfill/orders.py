"""Orders of re-embedding: each gives every gallery image an urgency, and the most urgent comes first."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64, Int64

from hetero.gallery.truncate import truncated
from hetero.metrics.backfill import Backfill
from hetero.metrics.nearest import search

Urgency = Float64[np.ndarray, " g"]


def most_displaced(backfill: Backfill) -> Urgency:
    """Measure how far an image moves: 1 - cosine of its old vector and its new one, truncated to the old space."""
    moved = truncated(backfill.new, backfill.old.shape[1])
    return 1 - np.einsum("gc,gc->g", moved, backfill.old, dtype=np.float64)


def most_misplaced(backfill: Backfill) -> Urgency:
    """Measure how much closer an old vector is to another class; needs the class of every gallery image.

    The cosine with the nearest other class's mean minus the cosine with its own class's mean, where means are those of
    the gallery's new vectors, truncated to the old space.
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


WITHOUT_LABELS: dict[str, Callable[[Backfill], Urgency]] = {"most-displaced": most_displaced}
WITH_LABELS: dict[str, Callable[[Backfill], Urgency]] = {"most-misplaced": most_misplaced}


def by_urgency(urgency: Urgency, seed: int) -> Int64[np.ndarray, " g"]:
    """Sort gallery rows, the most urgent first; the seed decides the order of ties.

    Rows are often sorted by class: with ties in row order, one class would be re-embedded after the other.
    """
    return np.lexsort((np.random.default_rng(seed).permutation(len(urgency)), -urgency))
