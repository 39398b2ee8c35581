"""What a service counts of itself, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Figures:
    """Counters of one service."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("endpoint", "status")
        self._requests = Counter("hetero_requests", "Requests answered.", labels, registry=self._registry)
        self._seconds = Histogram(
            "hetero_request_seconds",
            "Seconds from a request's headers to its answer.",
            ("endpoint",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._vectors = Counter("hetero_queries", "Vectors searched with.", registry=self._registry)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Report a value as it is when somebody asks.

        Args:
            name: Name of the figure.
            text: What it is.
            value: Returns it.
        """
        Gauge(name, text, registry=self._registry).set_function(value)

    def count(self, endpoint: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(endpoint, str(status)).inc()
        self._seconds.labels(endpoint).observe(seconds)

    def count_queries(self, number: int) -> None:
        """Count vectors that were searched with."""
        self._vectors.inc(number)

    def text(self) -> bytes:
        """Return all of them."""
        return generate_latest(self._registry)
