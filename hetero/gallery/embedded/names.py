"""The ids of an index's vectors, memory-mapped, so that opening a gallery of millions reads none of them."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

KEYS, ENDS, TEXT = "keys.npy", "ends.npy", "ids.txt"


class Names:
    """Key -> id.

    Args:
        directory: What :func:`write` wrote to.
    """

    def __init__(self, directory: Path) -> None:
        self._keys = np.load(directory / KEYS, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        self._ends = np.load(directory / ENDS, mmap_mode="r", allow_pickle=False).view(np.ndarray)
        with (directory / TEXT).open("rb") as stream:
            # An empty file cannot be mapped.
            size = stream.seek(0, 2)
            self._text = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if size else b""

    def __len__(self) -> int:
        return len(self._keys)

    def of(self, keys: NDArray[np.int64]) -> list[str | None]:
        """Return the id of each key; None for a key that is not here."""
        if not len(self._keys):
            return [None] * len(keys)
        rows = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        present = (self._keys[rows] == keys).tolist()
        starts, ends = self._ends[rows].tolist(), self._ends[rows + 1].tolist()
        text = self._text
        return [
            text[start:end].decode() if here else None for here, start, end in zip(present, starts, ends, strict=True)
        ]


def write(directory: Path, keys: NDArray[np.int64], ids: Sequence[str]) -> None:
    """Write ids.

    Args:
        directory: An unfinished directory.
        keys: int64 [n], ascending.
        ids: One for each key.
    """
    encoded = [name.encode() for name in ids]
    np.save(directory / KEYS, keys)
    np.save(directory / ENDS, np.cumsum([0, *map(len, encoded)], dtype=np.int64))
    (directory / TEXT).write_bytes(b"".join(encoded))
