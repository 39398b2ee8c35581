"""The part of a search space that a budget allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from hetero.nas.cost.budget import Budget
from hetero.nas.space.architecture import Architecture
from hetero.nas.space.space import SearchSpace

Costs = Callable[[Architecture], Mapping[str, float]]

_TRIES = 20
_PULLS = 200


@dataclass(frozen=True)
class Allowed:
    """Draws points that lie within a budget.

    A random point that does not fit is drawn again; where few points fit, it is then pulled towards the space's
    smallest, choice by choice, until it does. Tight budgets hence favour points near their edge.

    Attributes:
        space: The search space.
        budget: With numbers, not shares of the cloud.
        costs: Of a point.
    """

    space: SearchSpace
    budget: Budget
    costs: Costs

    def __contains__(self, architecture: Architecture) -> bool:
        """Whether a point fits."""
        return self.budget.allows(self.costs(architecture))

    def sample(self, rng: np.random.Generator) -> Architecture:
        """A random point."""
        return self._fitting(lambda: self.space.sample(rng), rng)

    def mutate(self, parent: Architecture, rng: np.random.Generator, rate: float) -> Architecture:
        """Each choice of the parent drawn anew with probability ``rate``."""
        return self._fitting(lambda: self.space.mutate(parent, rng, rate), rng)

    def neighbour(self, parent: Architecture, rng: np.random.Generator) -> Architecture:
        """The parent with one choice changed."""
        return self._fitting(lambda: self.space.neighbour(parent, rng), rng)

    def crossover(self, one: Architecture, other: Architecture, rng: np.random.Generator) -> Architecture:
        """Each choice from one of the parents."""
        return self._fitting(lambda: self.space.crossover(one, other, rng), rng)

    def _fitting(self, draw: Callable[[], Architecture], rng: np.random.Generator) -> Architecture:
        point = draw()
        for _ in range(_TRIES):
            if point in self:
                return point
            point = draw()
        for _ in range(_PULLS):
            if point in self:
                return point
            point = self.space.crossover(point, self.space.smallest, rng)
        return self.space.smallest


def unseen(
    draw: Callable[[], Architecture], otherwise: Callable[[], Architecture], seen: set[Architecture]
) -> Architecture:
    """A point that was not proposed before, and now is.

    Args:
        draw: Tried first.
        otherwise: Tried when many draws found nothing new; if it does not either, a known point is proposed again.
        seen: What was proposed; the point is added.
    """
    point = draw()
    for maker in (draw, otherwise):
        for _ in range(_TRIES):
            if point not in seen:
                seen.add(point)
                return point
            point = maker()
    return point
