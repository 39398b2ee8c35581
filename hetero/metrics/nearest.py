"""Exact nearest neighbours by inner product, in blocks, so that memory stays bounded."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
from jaxtyping import Float16, Float32, Int64
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from hetero.errors import InputError
from hetero.metrics._reservoir import EMPTY, Reservoir, decode, slots

MOST_ROWS = 2**32 - 2
SCORES_IN_A_BLOCK = 2**22
SLOT_BYTES = 2**27


class Hits(NamedTuple):
    """The results of a search, best first.

    Attributes:
        scores: float32 [q, k], inner products.
        rows: int64 [q, k], rows of the gallery.
    """

    scores: NDArray[np.float32]
    rows: NDArray[np.int64]


def search(
    query: Float32[np.ndarray, "q d"],
    gallery: Float32[np.ndarray, "g d"] | Float16[np.ndarray, "g d"],
    k: int,
    *,
    exclude: Int64[np.ndarray, " q"] | None = None,
) -> Hits:
    """Find the ``k`` gallery rows with the largest inner product with each query.

    The search is exact. Equal scores are ordered by gallery row, lowest first. Beyond the inputs and the result it
    needs a few hundred megabytes at most, whatever the sizes; the gallery may be a memory map. It uses every core, or
    as many as ``OMP_NUM_THREADS`` allows.

    Args:
        query: float32 [q, d], finite.
        gallery: float32 or float16 [g, d], finite; read block by block, once for every few thousand queries. Inner
            products are float32 in both.
        k: Number of rows to find, 1 to ``g`` (one fewer where a row is excluded).
        exclude: int64 [q], a gallery row that each query must not find (leave-one-out); -1 for none.

    Raises:
        InputError: For wrong shapes, a ``k`` that the gallery cannot serve, or values that are not finite.
    """
    _check(query, gallery, k, exclude)
    width = min(len(gallery), _block_width(k))
    step = _queries_at_once(len(query), k, width)
    blocks = [slice(start, min(start + step, len(query))) for start in range(0, len(query), step)]
    hits = Hits(np.empty((len(query), k), np.float32), np.empty((len(query), k), np.int64))

    def run(block: slice) -> None:
        keys = _search_block(query, block, gallery, k, width, exclude)
        if (keys == EMPTY).any():
            raise InputError("inner products overflowed: expected embeddings of length one")
        hits.scores[block], hits.rows[block] = decode(keys)

    # One thread for each block, without BLAS's own threads: those would wait for each other at every product.
    workers = min(_threads(), len(blocks))
    with (
        threadpool_limits(1, user_api="blas") if workers > 1 else nullcontext(),
        ThreadPoolExecutor(workers or 1) as pool,
    ):
        for task in [pool.submit(run, block) for block in blocks]:
            task.result()
    return hits


def _search_block(
    query: NDArray[np.float32],
    block: slice,
    gallery: NDArray[np.float32] | NDArray[np.float16],
    k: int,
    width: int,
    exclude: NDArray[np.int64] | None,
) -> NDArray[np.uint64]:
    count = block.stop - block.start
    reservoir = Reservoir(count, k, width)
    space = np.empty(count * width, np.float32)
    for first in range(0, len(gallery), width):
        part = gallery[first : first + width].astype(np.float32, copy=False)
        scores = space[: count * len(part)].reshape(count, len(part))
        with np.errstate(over="ignore", invalid="ignore"):  # reported below, with the rows
            np.matmul(query[block], part.T, out=scores)
        if first == 0 or not np.isfinite(scores[0]).all():
            _require_finite(scores, query[block], block.start, part, first)
        if exclude is not None:
            inside = np.flatnonzero((exclude[block] >= first) & (exclude[block] < first + len(part)))
            scores[inside, exclude[block][inside] - first] = -np.inf
        reservoir.offer(scores, first)
    return reservoir.best()


def _threads() -> int:
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = os.environ.get("OMP_NUM_THREADS", "")
    return min(available, int(limit)) if limit.isdigit() and int(limit) > 0 else available


def _block_width(k: int) -> int:
    """Return the gallery rows in a block: several times ``k``, so that the first block sets a useful threshold."""
    return int(np.clip(1 << (4 * k - 1).bit_length(), 2048, 8192))


def _queries_at_once(queries: int, k: int, width: int) -> int:
    threads = _threads()
    most = min(SCORES_IN_A_BLOCK // width, SLOT_BYTES // (8 * slots(k, width))) // threads
    return max(1, min(most, -(-queries // threads)))


def _require_finite(
    scores: NDArray[np.float32],
    query: NDArray[np.float32],
    first_query: int,
    part: NDArray[np.float32],
    first_row: int,
) -> None:
    # One row and one column of the scores show whether all the vectors are finite, at no cost.
    if np.isfinite(scores[0]).all() and np.isfinite(scores[:, 0]).all():
        return
    sides = (("query", query, first_query), ("gallery", part, first_row))
    bad = [(side, np.flatnonzero(~np.isfinite(vectors).all(axis=1)) + first) for side, vectors, first in sides]
    problems = [
        f"{side}: {len(rows)} rows are not finite, the first is row {rows[0]}" for side, rows in bad if len(rows)
    ]
    raise InputError("embeddings to search must be finite numbers of moderate size:", problems or ["overflow"])


def _check(
    query: NDArray[np.float32],
    gallery: NDArray[np.float32] | NDArray[np.float16],
    k: int,
    exclude: NDArray[np.int64] | None,
) -> None:
    problems: list[str] = []
    for name, array, kinds in (("query", query, (np.float32,)), ("gallery", gallery, (np.float32, np.float16))):
        if array.ndim != 2 or array.dtype not in kinds:
            problems.append(f"{name}: expected float32 [n, d], got {array.dtype} {list(array.shape)}")
    if not problems and query.shape[1] != gallery.shape[1]:
        problems.append(
            f"query has {query.shape[1]} dimensions, the gallery {gallery.shape[1]}: they cannot be of one space"
        )
    if exclude is not None and (exclude.shape != (len(query),) or exclude.dtype != np.int64):
        problems.append(f"exclude: expected int64 [{len(query)}], got {exclude.dtype} {list(exclude.shape)}")
    elif not problems:
        excluding = exclude is not None and bool(((exclude >= 0) & (exclude < len(gallery))).any())
        most = len(gallery) - excluding
        if not 1 <= k <= most:
            problems.append(f"k: expected 1 to {most} for a gallery of {len(gallery)} rows, got {k}")
    if len(gallery) > MOST_ROWS:
        problems.append(f"the gallery has {len(gallery)} rows; at most {MOST_ROWS} can be searched")
    if problems:
        raise InputError("cannot search:", problems)
