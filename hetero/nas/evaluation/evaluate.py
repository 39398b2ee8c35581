"""The seam between a search and what it asks of a candidate."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from hetero.nas.space.architecture import Architecture


@runtime_checkable
class Evaluate(Protocol):
    """Figures of one candidate. It is pickled to worker processes: it holds paths and numbers, and opens files late.

    The one that the package has is :class:`hetero.nas.evaluation.reward.SupernetReward`.
    """

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        """Measure a candidate; the same candidate gives the same figures in any process.

        Returns:
            At least the reward that is searched by: ``r1``, ``r2``, ``r3`` or ``cosine``; larger is better.
        """
        ...
