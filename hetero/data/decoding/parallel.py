"""Work on many images at once."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

from hetero.display.progress import Bar

T = TypeVar("T")
R = TypeVar("R")


def workers() -> int:
    """Return the number of threads to decode with: the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parallel(
    function: Callable[[T], R], items: Sequence[T], *, progress: str = "", unit: str = "image", ahead: int = 16
) -> Iterator[R]:
    """Yield results in the items' order, computed on all cores with a bounded number in flight.

    Threads are enough, because Pillow and hashing release the interpreter's lock.

    Args:
        function: Called with one item.
        items: Items in the order of the results.
        progress: Label of a progress bar; none when empty.
        unit: What an item is, for the bar.
        ahead: Items in flight for each core.
    """
    count = workers()
    bar = Bar(total=len(items), desc=progress, unit=unit, disable=not progress)
    with ThreadPoolExecutor(count) as pool, bar:
        waiting = iter(items)
        running = deque(pool.submit(function, item) for item in islice(waiting, ahead * count))
        while running:
            yield running.popleft().result()
            running.extend(pool.submit(function, item) for item in islice(waiting, 1))
            bar.update()
