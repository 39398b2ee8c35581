"""The speed of a run."""

from __future__ import annotations

import time


class Meter:
    """Images a second since the last look.

    Args:
        batch_size: Images of a step, on all ranks.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch = batch_size
        self._steps = 0
        self._since = time.perf_counter()

    def count(self) -> None:
        """Count one step."""
        self._steps += 1

    def rate(self) -> float:
        """Return the images a second since the last call, and start again."""
        now = time.perf_counter()
        rate = self._batch * self._steps / max(now - self._since, 1e-9)
        self._steps, self._since = 0, now
        return rate
