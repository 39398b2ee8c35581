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
        budget: Limits as numbers, not shares of the cloud.
        costs: Returns the costs of a point.
    """

    space: SearchSpace
    budget: Budget
    costs: Costs

    def __contains__(self, architecture: Architecture) -> bool:
        """Return True if a point fits."""
        return self.budget.allows(self.costs(architecture))

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Draw a random point."""
        return self._fitting(lambda: self.space.sample(rng), rng)

    def mutate(self, parent: Architecture, rng: np.random.Generator, rate: float) -> Architecture:
        """Draw each choice of the parent anew with probability ``rate``."""
        return self._fitting(lambda: self.space.mutate(parent, rng, rate), rng)

    def neighbour(self, parent: Architecture, rng: np.random.Generator) -> Architecture:
        """Change one choice of the parent."""
        return self._fitting(lambda: self.space.neighbour(parent, rng), rng)

    def crossover(self, one: Architecture, other: Architecture, rng: np.random.Generator) -> Architecture:
        """Take each choice from one of the parents."""
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
    draw: Callable[[], Architecture], otherwise: Callable[[], Architecture], proposed: set[Architecture]
) -> Architecture:
    """Draw a point that was not proposed before, and add it to those that were.

    Args:
        draw: Draws a point; tried first.
        otherwise: Draws a point when many draws were not new; if these are not either, a known point is returned.
        proposed: The points proposed so far; the new one is added.
    """
    point = draw()
    for maker in (draw, otherwise):
        for _ in range(_TRIES):
            if point not in proposed:
                proposed.add(point)
                return point
            point = maker()
    return point
