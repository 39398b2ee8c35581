"""The ids of an index's vectors, memory-mapped, so that opening a gallery of millions reads none of them."""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

KEYS, ENDS, TEXT = "keys.npy", "ends.npy", "ids.txt"
_FEW = 40
"""Keys whose places in the text are read number by number: for the ten of a query that is quicker than arrays are."""


class Names:
    """Key -> id.

    Args:
        directory: What :func:`write` wrote to.
    """

    def __init__(self, directory: Path) -> None:
        self._keys, ends = (
            np.load(directory / name, "r", allow_pickle=False).view(np.ndarray) for name in (KEYS, ENDS)
        )
        self._ends, self._each_end, self._count = ends, memoryview(ends), len(self._keys)
        self._first, last = (int(self._keys[0]), int(self._keys[-1])) if self._count else (0, -1)
        self._has_gaps = last - self._first != self._count - 1
        with (directory / TEXT).open("rb") as stream:
            # An empty file cannot be mapped.
            size = stream.seek(0, 2)
            self._text = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if size else b""

    def of(self, keys: NDArray[np.int64]) -> list[str | None]:
        """Return the id of each key; None for a key that is not here."""
        text, rows = self._text, self._rows(keys)
        if len(rows) <= _FEW:
            ends, count = self._each_end, self._count
            return [text[ends[row] : ends[row + 1]].decode() if 0 <= row < count else None for row in rows.tolist()]
        is_here = (rows >= 0) & (rows < self._count)
        rows = rows[is_here]
        # Of what is not here the place is empty, as no id is.
        places = np.zeros((2, len(keys)), np.int64)
        places[:, is_here] = self._ends[rows], self._ends[rows + 1]
        starts, stops = places.tolist()
        return [text[start:stop].decode() or None for start, stop in zip(starts, stops, strict=True)]

    def _rows(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of each key, and one that does not exist for a key that is not here."""
        if not self._has_gaps:
            return keys - self._first
        rows = np.searchsorted(self._keys, keys)
        return np.where(self._keys[np.minimum(rows, self._count - 1)] == keys, rows, -1)


def write(directory: Path, rows: Iterable[tuple[int, str]]) -> None:
    """Write ids.

    Args:
        directory: An unfinished directory.
        rows: Each key with its id, keys ascending.
    """
    keys, ends = array("q"), array("q", [0])
    with (directory / TEXT).open("wb") as stream:
        for key, name in rows:
            keys.append(key)
            ends.append(ends[-1] + stream.write(name.encode()))
    np.save(directory / KEYS, np.array(keys, np.int64))
    np.save(directory / ENDS, np.array(ends, np.int64))
