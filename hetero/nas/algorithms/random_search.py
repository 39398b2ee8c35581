"""Random search: the baseline that every other has to beat at the same number of evaluations."""

from __future__ import annotations

import numpy as np

from hetero.nas.algorithms.algorithm import AlgorithmConfig, Proposals
from hetero.nas.algorithms.allowed import Allowed, unseen
from hetero.nas.space.architecture import Architecture


def random_search(allowed: Allowed, config: AlgorithmConfig, rng: np.random.Generator) -> Proposals:
    """Propose random points, none twice while there are others."""
    proposed: set[Architecture] = set()

    def draw() -> Architecture:
        return allowed.sample(rng)

    for _ in range(config.generations):
        yield [unseen(draw, draw, proposed) for _ in range(config.population)]
