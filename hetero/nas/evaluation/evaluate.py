"""The seam between a search and the figures of its candidates."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from hetero.nas.space.architecture import Architecture


@runtime_checkable
class Evaluate(Protocol):
    """A measure of one candidate. It is pickled to worker processes: it holds paths and numbers, and opens files late.

    The package's own is :class:`hetero.nas.evaluation.reward.SupernetReward`.
    """

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        """Measure a candidate; the same candidate gives the same figures in any process.

        Returns:
            At least the reward of the search: ``r1``, ``r2``, ``r3`` or ``cosine``; larger is better.
        """
        ...
