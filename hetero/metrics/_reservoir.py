"""The best candidates of each query so far: deterministic, vectorised over queries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MINIMUM_SLACK = 16
ROW_BITS = 32
EMPTY = np.uint64(2**64 - 1)
_SIGN = np.uint32(2**31)
_ALL = np.uint32(2**32 - 1)


def encode(scores: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Pack scores and rows (below 2**32 - 1) into integers that sort by higher score, then lower row.

    One integer instead of a pair makes ties deterministic under partition and sort, which are not stable otherwise.
    """
    bits = (scores + np.float32(0)).view(np.uint32)  # the sum turns -0.0 into 0.0: equal scores need equal bits
    descending = np.where(bits & _SIGN, bits, bits ^ _ALL ^ _SIGN)
    return (descending.astype(np.uint64) << np.uint64(ROW_BITS)) | rows.astype(np.uint64)


def decode(keys: NDArray[np.uint64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unpack the scores and rows that :func:`encode` packed."""
    descending = (keys >> np.uint64(ROW_BITS)).astype(np.uint32)
    scores = np.where(descending & _SIGN, descending, descending ^ _ALL ^ _SIGN).view(np.float32)
    return scores, (keys & np.uint64(_ALL)).astype(np.int64)


class Reservoir:
    """The ``k`` best candidates of every query, at least, while blocks of scores stream past.

    A query's threshold is a score that ``k`` of its candidates reach so far, so that one comparison rejects most later
    scores. Candidates collect in slots; a query whose slots fill up is cut back to its best ``k``, which raises its
    threshold.

    Args:
        queries: Number of queries.
        k: Number of best candidates of each query.
        width: Maximum number of gallery rows in a block.
    """

    def __init__(self, queries: int, k: int, width: int) -> None:
        self.k = k
        self._full = k + max(k, MINIMUM_SLACK)
        # Not initialised: most slots are never touched, so they cost no memory. ``_fill`` counts those that hold keys.
        self._keys = np.empty((queries, slots(k, width)), np.uint64)
        self._fill = np.zeros(queries, np.int64)
        self._threshold = np.full(queries, -np.inf, np.float32)
        self._mask = np.empty(queries * width, np.bool_)

    def offer(self, scores: NDArray[np.float32], first_row: int) -> None:
        """Take the scores that are good enough from ``scores`` [queries, b]: gallery rows ``first_row`` onwards.

        Rows must arrive in ascending order; a score of ``-inf`` is never taken.
        """
        queries, width = scores.shape
        if first_row == 0 and width > self.k:
            lowest_best = np.partition(scores, width - self.k, axis=1)[:, width - self.k]
            self._threshold = np.nextafter(lowest_best, np.float32(-np.inf))
        mask = self._mask[: scores.size].reshape(scores.shape)
        # Strictly greater is right for ties: an equal score in a later row loses to those already held.
        np.greater(scores, self._threshold[:, None], out=mask)
        places = np.flatnonzero(mask)
        if not len(places):
            return
        query, column = np.divmod(places, width)
        counts = np.bincount(query, minlength=queries)
        before = np.cumsum(counts) - counts
        slot = np.arange(len(places)) + (self._fill - before)[query]
        self._keys[query, slot] = encode(scores.ravel()[places], column + first_row)
        self._fill += counts
        self._cut_back(np.flatnonzero(self._fill >= self._full))

    def best(self) -> NDArray[np.uint64]:
        """Return the keys [queries, k] of the best, in order; ``EMPTY`` where there are fewer than ``k`` candidates."""
        return np.sort(self._keys_of(np.arange(len(self._fill))), axis=1)[:, : self.k]

    def _cut_back(self, queries: NDArray[np.int64]) -> None:
        if not len(queries):
            return
        best = np.partition(self._keys_of(queries), self.k - 1, axis=1)[:, : self.k]
        self._keys[queries, : self.k] = best
        self._fill[queries] = self.k
        self._threshold[queries] = decode(best[:, -1])[0]

    def _keys_of(self, queries: NDArray[np.int64]) -> NDArray[np.uint64]:
        """Return the keys of these queries, ``EMPTY`` after each one's last, in at least ``k`` columns."""
        used = max(int(self._fill[queries].max(initial=0)), self.k)
        keys = self._keys[queries, :used]
        keys[np.arange(used) >= self._fill[queries, None]] = EMPTY
        return keys


def slots(k: int, width: int) -> int:
    """Return the number of slots of a query, with room for a whole block after it was last cut back."""
    return k + max(k, MINIMUM_SLACK) + width
