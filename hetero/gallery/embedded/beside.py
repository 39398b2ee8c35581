"""A long job of an engine in small parts, between its calls."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_PAUSE = 0.001
"""Seconds between two parts, in which a call that waits gets the lock."""


class Beside:
    """Does a job beside the calls of an engine, in a thread that ends with the job.

    Args:
        lock: The engine's; each part holds it.
        part: Does a part; returns True if nothing is left. Nobody sees what it raises, but :meth:`start` does.
    """

    def __init__(self, lock: threading.RLock, part: Callable[[], bool]) -> None:
        self._lock, self._part = lock, part
        self._running = self._stopped = False
        self._error: Exception | None = None

    def start(self) -> None:
        """Begin, unless the job runs already. The lock is held.

        Raises:
            Exception: What ended the job the last time.
        """
        if error := self._error:
            self._error = None
            raise error
        if not self._running and not self._stopped:
            self._running = True
            threading.Thread(target=self._run, name="gallery", daemon=True).start()

    def stop(self) -> None:
        """Do no further part. The lock is held."""
        self._stopped = True

    def _run(self) -> None:
        while True:
            with self._lock:
                try:
                    done = self._stopped or self._part()
                except Exception as error:
                    self._error, done = error, True
                if done:
                    self._running = False
                    return
            time.sleep(_PAUSE)
