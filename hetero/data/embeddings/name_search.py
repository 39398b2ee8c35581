"""Rows of names among more names than a dictionary should hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int64

_AT_ONCE = 1 << 16


def rows_of_names(parts: Iterable[Sequence[str]], wanted: Sequence[str]) -> Int64[np.ndarray, " m"]:
    """Return the row of each name in parts that are read one after the other; -1 where there is none.

    Names are compared by sorted digests of 64 bits (Python's own, which are those of one process), 16 bytes for each
    wanted name, and then themselves.

    Args:
        parts: Unique names, in the order of their rows.
        wanted: Names to look up, which may repeat.
    """
    digests = _digests(wanted)
    order = np.argsort(digests, kind="stable")
    digests = digests[order]
    starts = np.flatnonzero(np.diff(digests)) + 1
    # More than one where a name repeats, or digests collide.
    most = int(np.diff(starts, prepend=0, append=len(wanted)).max(initial=0)) if len(wanted) else 0
    rows = np.full(len(wanted), -1)
    first = 0
    for names in parts:
        own = _digests(names)
        places = np.searchsorted(digests, own)
        for offset in range(most):
            near = np.minimum(places + offset, len(wanted) - 1)
            own_rows = np.flatnonzero(digests[near] == own)
            candidates = order[near[own_rows]]
            pairs = zip(_names_at(wanted, candidates), own_rows.tolist(), strict=True)
            equal = np.fromiter((name == names[row] for name, row in pairs), bool, len(candidates))
            rows[candidates[equal]] = first + own_rows[equal]
        first += len(names)
    return rows


def rows_among(names: Sequence[str], wanted: Sequence[str]) -> Int64[np.ndarray, " m"]:
    """Return the row of each wanted name among names that may lie on disk; -1 where there is none."""
    parts = (list(names[start : start + _AT_ONCE]) for start in range(0, len(names), _AT_ONCE))
    return rows_of_names(parts, wanted)


def _names_at(names: Sequence[str], places: Int64[np.ndarray, " k"]) -> Sequence[str]:
    """Return the names at these places, at once where they follow each other, as names on disk are read faster so."""
    if len(places) and (np.diff(places) == 1).all():
        return list(names[int(places[0]) : int(places[-1]) + 1])
    return [names[int(place)] for place in places]


def _digests(names: Sequence[str]) -> Int64[np.ndarray, " n"]:
    return np.fromiter(map(hash, names), np.int64, len(names))
