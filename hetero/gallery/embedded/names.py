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
        rows = np.minimum(self._places(keys), len(self._keys) - 1)
        present = self._keys[rows] == keys
        starts, ends, text = self._ends[rows].tolist(), self._ends[rows + 1].tolist(), self._text
        names: list[str | None] = [text[start:end].decode() for start, end in zip(starts, ends, strict=True)]
        if present.all():
            return names
        return [name if here else None for name, here in zip(names, present.tolist(), strict=True)]

    def _places(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where each key is, or would be."""
        first, last = int(self._keys[0]), int(self._keys[-1])
        if last - first == len(self._keys) - 1:  # none was removed: no need to look
            return np.clip(keys - first, 0, None)
        return np.searchsorted(self._keys, keys)


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
