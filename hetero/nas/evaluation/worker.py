"""The interface of workers, which evaluate candidates on this machine or others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from hetero.nas.space.architecture import Architecture

Evaluated = Iterator[tuple[Architecture, dict[str, float]]]


@runtime_checkable
class Workers(Protocol):
    """Workers that evaluate candidates inside a ``with`` block."""

    def __enter__(self) -> Workers:
        """Start the workers."""
        ...

    def __exit__(self, *_: object) -> None:
        """Stop the workers."""
        ...

    def evaluate(self, points: Sequence[Architecture]) -> Evaluated:
        """Yield each point with its figures, in the order in which they are done."""
        ...
