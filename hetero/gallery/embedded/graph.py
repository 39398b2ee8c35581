"""The graph of an index, by usearch: making one, and searching it."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from hetero.gallery.embedded.items import Precision
from hetero.gallery.engine import CONNECTIVITY, EXPANSION


def new_graph(dimension: int, precision: Precision, *, removable: bool) -> Any:
    """Return an empty graph.

    Args:
        dimension: Length of a vector.
        precision: Precision of its vectors.
        removable: True if keys will be removed from it.
    """
    from usearch.index import Index

    metric, kind = ("cos", "i8") if precision == "int8" else ("ip", "f16")
    return Index(
        ndim=dimension,
        metric=metric,
        dtype=kind,
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION,
        enable_key_lookups=removable,
    )


def nearest_in(
    graph: Any, query: Float32[np.ndarray, "q d"], count: int, effort: int, *, threads: int
) -> tuple[Int64[np.ndarray, "q c"], Float32[np.ndarray, "q c"]]:
    """Search a graph.

    Args:
        graph: The graph.
        query: float32 [q, d].
        count: Number of keys to find.
        effort: Candidates to keep.
        threads: Number of threads; 0 for one a core.

    Returns:
        Keys, best first, -1 for none, and their scores, minus infinity for none; as many columns as the graph has
        keys, if these are fewer.
    """
    shape = (len(query), min(count, len(graph)))
    if not shape[1]:
        return np.empty(shape, np.int64), np.empty(shape, np.float32)
    # No more can be kept; room is made for all of them at once.
    graph.expansion_search = min(effort, len(graph))
    answer = graph.search(query, shape[1], threads=threads)
    # One query is answered by as many as there are, several by a table with their numbers.
    own, scores = answer.keys.astype(np.int64).reshape(len(query), -1), 1 - answer.distances.reshape(len(query), -1)
    if own.shape == shape and (len(query) == 1 or answer.counts.min() == shape[1]):
        return own, scores
    counts = answer.counts if len(query) > 1 else np.array([own.shape[1]])
    all_keys, all_scores = np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32)
    there = np.arange(own.shape[1]) < counts[:, None]
    all_keys[:, : own.shape[1]][there], all_scores[:, : own.shape[1]][there] = own[there], scores[there]
    return all_keys, all_scores


def as_vectors(rows: list[bytes], dimension: int) -> NDArray[np.float16]:
    """Return vectors from the tables, float16 [n, d]."""
    return np.frombuffer(b"".join(rows), "<f2").reshape(len(rows), dimension).astype(np.float16, copy=False)


def usual_threads() -> int:
    """Return the number of threads to use; 0 for one a core."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return int(limit) if limit.isdigit() else 0
