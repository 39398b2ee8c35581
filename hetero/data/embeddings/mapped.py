"""Unit vectors that are read from mapped shards when they are needed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float32, Int64

from hetero.data.embeddings.shard_file import Shard
from hetero.files import digest, sha256_bytes
from hetero.lengths import unit


class MappedVectors:
    """Rows of shards in any order: like a float32 array [n, d] of unit vectors, of which parts are read.

    Args:
        shards: The shards, each with as many rows as the first, but for the last.
        rows: int64 [n], the rows to take, counted over all shards.
        source: Digest of the shards.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, shards: Sequence[Shard], rows: Int64[np.ndarray, " n"], *, source: str) -> None:
        self._shards, self._rows, self._source = shards, rows, source
        self._each = shards[0].rows

    @property
    def identity(self) -> str:
        """Digest of the vectors, in their order."""
        return digest([self._source, sha256_bytes(np.ascontiguousarray(self._rows).tobytes())])

    @property
    def shape(self) -> tuple[int, int]:
        """``(n, d)``."""
        return len(self._rows), self._shards[0].space.dimension

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(
        self, index: slice | Int64[np.ndarray, " k"] | Bool[np.ndarray, " n"], /
    ) -> Float32[np.ndarray, "k d"]:
        """Read these vectors, scaled to length one; those that are of length one already stay the same, bit by bit.

        Raises:
            IntegrityError: When a vector is not finite, or zero.
        """
        return unit(self.raw(index), what=f"the embeddings in {self._shards[0].path.parent}")

    def raw(self, index: slice | Int64[np.ndarray, " k"] | Bool[np.ndarray, " n"]) -> Float32[np.ndarray, "k d"]:
        """Read these vectors as they are in the files, of whatever length."""
        rows = self._rows[index]
        places = rows // self._each
        order = np.argsort(places, kind="stable")
        starts = np.flatnonzero(np.diff(places[order], prepend=-1))
        result = np.empty((len(rows), self.shape[1]), np.float32)
        for group in np.split(order, starts[1:]) if len(rows) else ():
            place = int(places[group[0]])
            result[group] = self._shards[place].vectors[rows[group] - place * self._each]
        return result


Vectors = Float32[np.ndarray, "n d"] | MappedVectors
"""Unit vectors in memory, or mapped into it: both have a length and a shape, and give the rows that are asked for."""
