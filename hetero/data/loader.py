"""Reading ahead, so that decoding and copying happen while the model computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
K = TypeVar("K")
K_contra = TypeVar("K_contra", contravariant=True)


@runtime_checkable
class Rows(Protocol[K_contra, T_co]):
    """What gives the rows that are asked for: images, or vectors of them."""

    def __getitem__(self, indices: K_contra, /) -> T_co:
        """Return these rows."""
        ...


def batches(images: Rows[K, T], index_batches: Iterable[K], ahead: int = 2) -> Iterator[T]:
    """Yield the images of each batch of rows, in order; read on a background thread unless they are in memory.

    Args:
        images: The images (or vectors) to read from.
        index_batches: What each batch asks for, mostly int64 [b], its rows; consumed at most ``ahead`` batches early.
        ahead: Number of batches kept ready.

    Raises:
        ValueError: When ``ahead`` is less than one.
    """
    if ahead < 1:
        raise ValueError(f"ahead must be at least 1, got {ahead}")
    if type(images) is np.ndarray:  # not a file that is mapped into memory
        return (images[rows] for rows in index_batches)
    return _read_ahead(images, iter(index_batches), ahead)


def _read_ahead(images: Rows[K, T], rows: Iterator[K], ahead: int) -> Iterator[T]:
    pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
    try:
        waiting = deque(pool.submit(images.__getitem__, batch) for batch in islice(rows, ahead))
        while waiting:
            batch = waiting.popleft().result()
            waiting.extend(pool.submit(images.__getitem__, following) for following in islice(rows, 1))
            yield batch
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
