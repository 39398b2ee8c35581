"""The algorithms by name."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hetero.nas.algorithms.algorithm import Algorithm, AlgorithmConfig, AlgorithmName, Proposals
from hetero.nas.algorithms.allowed import Allowed
from hetero.nas.algorithms.evolution import evolution
from hetero.nas.algorithms.pareto import pareto
from hetero.nas.algorithms.random_search import random_search
from hetero.nas.algorithms.regularised import regularised

ALGORITHMS: Mapping[AlgorithmName, Algorithm] = {
    "evolution": evolution,
    "regularised": regularised,
    "random": random_search,
    "pareto": pareto,
}


def propose(allowed: Allowed, config: AlgorithmConfig, seed: int) -> Proposals:
    """Start the algorithm that the config names."""
    return ALGORITHMS[config.name](allowed, config, np.random.default_rng(seed))
