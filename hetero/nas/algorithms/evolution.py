"""Evolution as in CMP-NAS (arXiv 2105.06047), which takes it from single path one-shot search (arXiv 1904.00420).

A random generation first; then half of each generation are mutants of the best points so far, and half are crosses
between two of them. None is proposed twice.
"""

from __future__ import annotations

import numpy as np

from hetero.nas.algorithms.algorithm import AlgorithmConfig, Proposals
from hetero.nas.algorithms.allowed import Allowed, unseen
from hetero.nas.space.architecture import Architecture


def evolution(allowed: Allowed, config: AlgorithmConfig, rng: np.random.Generator) -> Proposals:
    """Propose generation after generation."""
    rewards: dict[Architecture, float] = {}
    proposed: set[Architecture] = set()
    best: list[Architecture] = []

    def breed(place: int) -> Architecture:
        if not best:
            return allowed.sample(rng)
        parent = best[int(rng.integers(len(best)))]
        if place < config.population // 2:
            return allowed.mutate(parent, rng, config.mutation)
        return allowed.crossover(parent, best[int(rng.integers(len(best)))], rng)

    for _ in range(config.generations):
        batch = [
            unseen(lambda place=place: breed(place), lambda: allowed.sample(rng), proposed)
            for place in range(config.population)
        ]
        rewards |= zip(batch, (yield batch), strict=True)
        best = sorted(rewards, key=lambda point: -rewards[point])[: config.parents]
