"""The bank: the cloud's vectors that every batch is compared with."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

LARGEST_BANK = 4096
"""Most vectors in it, unless there are more classes: each class has one in any case."""


def bank_rows(
    labels: Int64[np.ndarray, " n"],
    sources: Int64[np.ndarray, " n"],
    *,
    seed: int,
    largest: int = LARGEST_BANK,
    classes: int | None = None,
) -> Int64[np.ndarray, " m"]:
    """Return the rows of the training images whose vectors make the bank.

    All of them where they are few enough. Otherwise rows are drawn, as many from each class as from any other as far as
    it has them; changed copies are drawn when there are not enough originals.

    Args:
        labels: Class of each image.
        sources: The row of which each image is a changed copy, or its own row.
        seed: Decides the draw.
        largest: Most rows; the number of classes where that is larger.
        classes: Number of labels that name a class, and not a single image without a label; None for all of them.

    Returns:
        Rising rows.
    """
    count = max(largest, len(np.unique(labels)) if classes is None else classes)
    if len(labels) <= count:
        return np.arange(len(labels))
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    copy = sources[shuffled] != shuffled
    turns = _turns(2 * labels[shuffled] + copy)
    # The rows of one turn, one a class, stay in random order: sorting keeps the order of equals.
    return np.sort(shuffled[np.lexsort((turns, copy))[:count]])


def _turns(groups: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Count how often each entry's value has occurred before it."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    turns = np.empty_like(order)
    turns[order] = np.arange(len(groups)) - np.repeat(starts, np.diff(starts, append=len(groups)))
    return turns
