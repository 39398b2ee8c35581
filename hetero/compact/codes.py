"""What a stored vector is worth in fewer bits, and the exact search of each: the reference that indexes approximate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from hetero.adapters.adapter import unit
from hetero.data.embeddings.file import in_bytes
from hetero.metrics.nearest import search

Precision = Literal["float16", "int8", "binary"]
PRECISIONS: tuple[Precision, ...] = ("float16", "int8", "binary")
BITS: dict[Precision, int] = {"float16": 16, "int8": 8, "binary": 1}
"""Precision -> bits of a coordinate that a search reads of every vector."""
RESCORED = 4
"""Signs find this many times ``k`` vectors, at least :data:`FEWEST_RESCORED`; vectors of int8 order them."""
FEWEST_RESCORED = 40


@dataclass(frozen=True)
class BinaryCodes:
    """Signs of vectors around their mean.

    ``q.x`` is near to ``q.mean + scale (q.signs)``: for a query the order is that of ``q.signs``, so that queries stay
    floating point and are not centred. The mean belongs to the codes: it is no part of the space.

    Attributes:
        bits: uint8 [n, ceil(d / 8)], True above the mean, as :func:`numpy.packbits` packs them.
        mean: float32 [d], mean of the vectors.
    """

    bits: UInt8[np.ndarray, "n w"]
    mean: Float32[np.ndarray, " d"]

    @classmethod
    def of(cls, vectors: Float32[np.ndarray, "n d"]) -> BinaryCodes:
        """Take the signs of vectors.

        Args:
            vectors: float32 [n, d].
        """
        mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        return cls(np.packbits(vectors > mean, axis=1), mean)

    @property
    def signs(self) -> Float32[np.ndarray, "n d"]:
        """1 for coordinates above the mean and -1 for others, float32 [n, d]."""
        return np.unpackbits(self.bits, axis=1, count=len(self.mean)).astype(np.float32) * 2 - 1


def as_stored(vectors: Float32[np.ndarray, "n d"], precision: Precision) -> Float32[np.ndarray, "n d"]:
    """Return unit vectors as they are after being stored; in ``binary`` it is int8 that rescores.

    Args:
        vectors: float32 [n, d], unit vectors.
        precision: Precision of the stored vectors.
    """
    return unit((vectors.astype(np.float16) if precision == "float16" else in_bytes(vectors)).astype(np.float32))


def nearest(
    query: Float32[np.ndarray, "q d"],
    vectors: Float32[np.ndarray, "n d"],
    precision: Precision,
    k: int,
    *,
    exclude: Int64[np.ndarray, " q"],
) -> Int64[np.ndarray, "q k"]:
    """Find the nearest stored vectors of queries, which are float32.

    Args:
        query: float32 [q, d].
        vectors: float32 [n, d], unit vectors before they are stored.
        precision: Precision of the stored vectors.
        k: Number of rows to find, fewer than n.
        exclude: int64 [q], a row that each query must not find; -1 for none.

    Returns:
        Rows, best first.
    """
    gallery = as_stored(vectors, precision)
    if precision != "binary":
        return search(query, gallery, k, exclude=exclude).rows
    most = len(vectors) - bool((exclude >= 0).any())
    candidates = min(max(RESCORED * k, FEWEST_RESCORED), most)
    rows = np.sort(search(query, BinaryCodes.of(vectors).signs, candidates, exclude=exclude).rows, axis=1)
    scores = np.stack([gallery[some] @ one for some, one in zip(rows, query, strict=True)])
    return np.take_along_axis(rows, np.argsort(-scores, axis=1, kind="stable")[:, :k], axis=1)
