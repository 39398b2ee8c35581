"""From keys and scores, or from all that fits, to a query's answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetero.gallery.embedded.graph import as_vectors
from hetero.gallery.engine import Query
from hetero.gallery.store import Matches
from hetero.metrics.nearest import search


def exact(query: Query, blocks: Iterable[list[Any]]) -> Matches:
    """Compare queries with vectors.

    Args:
        query: The search.
        blocks: Key, id and vector of items, in the order of addition, which decides between equal scores; each block
            is let go before the next.
    """
    ids, scores = np.empty((len(query.vectors), 0), object), np.empty((len(query.vectors), 0), np.float32)
    for rows in blocks:
        vectors = as_vectors([row[2] for row in rows], query.vectors.shape[1])
        hits = search(query.vectors, vectors, min(query.k, len(rows)))
        ids = np.hstack([ids, np.array([row[1] for row in rows], object)[hits.rows]])
        scores = np.hstack([scores, hits.scores])
        order = np.argsort(-scores, axis=1, kind="stable")[:, : query.k]
        ids, scores = np.take_along_axis(ids, order, 1), np.take_along_axis(scores, order, 1)
    return Matches(ids.tolist(), scores)


def enough(
    ids: list[str | None], scores: NDArray[np.float32], k: int, floor: NDArray[np.float32] | None = None
) -> bool:
    """Return True if no query gets another answer from more candidates.

    Args:
        ids: Of all queries, one after the other; None for what is no answer.
        scores: float32 [q, c], theirs, best first.
        k: Number of answers.
        floor: float32 [q], for each query the score below which nothing is asked for; None for none.
    """
    queries, width = scores.shape
    if None not in ids and width >= k:
        return True
    alive = np.array([name is not None for name in ids], bool).reshape(queries, width).sum(axis=1) >= k
    if floor is not None and width:
        alive |= scores[:, -1] <= floor
    return bool(alive.all())


def best(ids: list[str | None], scores: NDArray[np.float32], k: int, *, in_order: bool) -> Matches:
    """Return the ``k`` best of each query.

    Args:
        ids: Of all queries, one after the other; None for what is no answer.
        scores: float32 [q, c], theirs.
        k: Number of answers.
        in_order: True if scores are ordered already.
    """
    queries, width = scores.shape
    if in_order and width <= k and None not in ids:
        table = [ids[row * width : (row + 1) * width] for row in range(queries)]
        return Matches(table, scores)  # pyright: ignore[reportArgumentType]
    alive = np.array([name is not None for name in ids], bool).reshape(queries, width)
    scores = np.where(alive, scores, -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    ordered = np.take_along_axis(scores, order, 1)
    table = [
        [name for column in columns if (name := ids[row * width + column]) is not None]
        for row, columns in enumerate(order.tolist())
    ]
    longest = max(map(len, table))
    return Matches(table, ordered[:, :longest].astype(np.float32))


def merged(near: Matches, others: Matches, k: int) -> Matches:
    """Return the best of two searches; an item in both has its score in the first."""
    rows: list[list[tuple[str, float]]] = []
    for row, (names, more) in enumerate(zip(near.ids, others.ids, strict=True)):
        scored = dict(zip(more, others.scores[row].tolist(), strict=False))
        scored |= dict(zip(names, near.scores[row].tolist(), strict=False))
        rows.append(sorted(scored.items(), key=lambda pair: -pair[1])[:k])
    return Matches.of(rows)


def floor_of(near: Matches, k: int) -> NDArray[np.float32]:
    """Return each query's score that another item must exceed to be among its ``k`` best; minus infinity for any."""
    if near.scores.shape[1] < k:
        return np.full(len(near.ids), -np.inf, np.float32)
    return near.scores[:, k - 1]
