"""Reading ahead, so that decoding and copying happen while the model computes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from hetero.data.images import Images


def batches(
    images: Images, index_batches: Iterable[NDArray[np.int64]], ahead: int = 2
) -> Iterator[UInt8[np.ndarray, "b h w 3"]]:
    """Yield the images of each batch of rows, in order; read on a background thread unless they are in memory.

    Args:
        images: The images to read from.
        index_batches: int64 [b], rows of each batch; consumed at most ``ahead`` batches early.
        ahead: Number of batches kept ready.

    Raises:
        ValueError: When ``ahead`` is less than one.
    """
    if ahead < 1:
        raise ValueError(f"ahead must be at least 1, got {ahead}")
    if type(images) is np.ndarray:  # not a file that is mapped into memory
        return (images[rows] for rows in index_batches)
    return _read_ahead(images, iter(index_batches), ahead)


def _read_ahead(
    images: Images, rows: Iterator[NDArray[np.int64]], ahead: int
) -> Iterator[UInt8[np.ndarray, "b h w 3"]]:
    pool = ThreadPoolExecutor(1, thread_name_prefix="batches")
    try:
        waiting = deque(pool.submit(images.__getitem__, batch) for batch in islice(rows, ahead))
        while waiting:
            batch = waiting.popleft().result()
            waiting.extend(pool.submit(images.__getitem__, following) for following in islice(rows, 1))
            yield batch
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
