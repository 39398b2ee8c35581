"""What evaluates candidates, wherever it runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from hetero.nas.space.architecture import Architecture

Evaluated = Iterator[tuple[Architecture, dict[str, float]]]


@runtime_checkable
class Workers(Protocol):
    """Evaluates candidates inside a ``with`` block."""

    def __enter__(self) -> Workers:
        """Start."""
        ...

    def __exit__(self, *_: object) -> None:
        """Stop."""
        ...

    def evaluate(self, points: Sequence[Architecture]) -> Evaluated:
        """Yield each point with its figures, in the order in which they are done."""
        ...
