"""The judgement of a model by validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Judgement:
    """Figures of a model on held-out images.

    Attributes:
        judged_by: Name of the figure by which weights are chosen.
        figures: All of them, by name; larger is better.
    """

    judged_by: str
    figures: Mapping[str, float]

    @property
    def figure(self) -> float:
        """The figure by which weights are chosen."""
        return self.figures[self.judged_by]
