"""The limits of a service: what one request may ask for, and what all of them may take."""

from __future__ import annotations

from dataclasses import dataclass

LARGEST_BODY = 32 << 20
"""Most bytes of a request's body."""
LARGEST_BODIES = 8 * LARGEST_BODY
"""Most bytes of all bodies that are held at once."""
MOST_QUERIES, MOST_ADDED = 1_000, 10_000
"""Most vectors of a search, and most items of a change."""
LARGEST_K, LARGEST_EFFORT, MOST_ANSWERS = 1_000, 10_000, 50_000
"""Most items to find for a query, the largest effort, and most items in an answer."""


@dataclass(frozen=True)
class Limits:
    """What a service bears.

    Attributes:
        waiting: Callers that wait for the gallery.
        connections: Open connections.
        patience: Seconds in which a request must have arrived whole, and an answer must be taken.
    """

    waiting: int
    connections: int
    patience: float
