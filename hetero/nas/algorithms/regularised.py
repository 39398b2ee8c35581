"""Regularised evolution (Real et al., arXiv 1802.01548): the oldest points are dropped, not the worst.

The paper replaces one point at a time. Here a tenth of the population is replaced at once, so that workers have
something to share; children of one batch do not compete with each other.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from hetero.nas.algorithms.algorithm import AlgorithmConfig, Proposals
from hetero.nas.algorithms.allowed import Allowed, unseen
from hetero.nas.space.architecture import Architecture


def regularised(allowed: Allowed, config: AlgorithmConfig, rng: np.random.Generator) -> Proposals:
    """Propose a random population, then children of tournament winners, each with one choice changed."""
    proposed: set[Architecture] = set()
    alive: deque[tuple[Architecture, float]] = deque(maxlen=config.population)
    remaining = config.population * config.generations
    size = config.population
    while remaining:
        batch = [
            unseen(lambda: _child(allowed, config, alive, rng), lambda: allowed.sample(rng), proposed)
            for _ in range(min(size, remaining))
        ]
        alive.extend(zip(batch, (yield batch), strict=True))
        remaining -= len(batch)
        size = max(1, config.population // 10)


def _child(
    allowed: Allowed, config: AlgorithmConfig, alive: deque[tuple[Architecture, float]], rng: np.random.Generator
) -> Architecture:
    if not alive:
        return allowed.sample(rng)
    entrants = [alive[int(place)] for place in rng.integers(len(alive), size=config.tournament)]
    parent, _ = max(entrants, key=lambda entrant: entrant[1])
    return allowed.neighbour(parent, rng)
