"""Counts of scores on a fine grid: billions of comparisons in a few megabytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hetero.errors import InputError

STEPS = 2**20
LARGEST = 1 + 2**-10


class ScoreHistogram:
    """Counts of cosines by multiples of 2**-20.

    The number of scores that reach a multiple is exact, because scaling by a power of two and rounding down are exact
    in float32. Scores that rounding moved beyond -1 or 1 count as -1 or 1. It takes 16 MB.
    """

    def __init__(self) -> None:
        self._counts = np.zeros(2 * STEPS + 1, np.int64)

    def add(self, scores: NDArray[np.float32], sign: int = 1) -> None:
        """Count ``scores``, of any shape; with ``sign`` -1 subtract them again.

        Raises:
            InputError: For values beyond -1 to 1: the vectors are not of length one.
        """
        if scores.size and not np.abs(scores).max() <= LARGEST:
            raise InputError("expected cosines between -1 and 1: embeddings must be finite and of length one")
        cells = np.clip(np.floor(scores.ravel() * np.float32(STEPS)), -STEPS, STEPS).astype(np.int32) + STEPS
        self._counts += sign * np.bincount(cells, minlength=len(self._counts))

    def reaching(self) -> NDArray[np.int64]:
        """Return int64 [cells + 1], the number of scores that reach each cell's :func:`edge`; the last is above all."""
        return np.append(np.cumsum(self._counts[::-1])[::-1], 0)

    @property
    def total(self) -> int:
        """The number of scores counted."""
        return int(self._counts.sum())


def edge(cell: int) -> float:
    """Return the lowest score of a cell."""
    return (cell - STEPS) / STEPS
