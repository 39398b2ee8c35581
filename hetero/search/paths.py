"""Which points of the space a step of a supernet trains: a pure function of seed and step, so that runs resume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hetero.search.architecture import Architecture
from hetero.search.space import SearchSpace


@dataclass(frozen=True)
class Paths:
    """The points of each step.

    Attributes:
        space: Where they are drawn from.
        sampling: ``uniform``: one random point (single path one-shot, arXiv 1904.00420). ``sandwich``: the
            largest, the smallest and some random ones (arXiv 1903.05134; without its distillation, since the cloud
            teaches every point).
        random_paths: Random points of a step of the sandwich rule.
        seed: Decides every draw.
    """

    space: SearchSpace
    sampling: Literal["uniform", "sandwich"]
    random_paths: int
    seed: int

    def of(self, step: int) -> tuple[Architecture, ...]:
        """The points of a step, counted from 0."""
        rng = np.random.default_rng([self.seed, 3, step])
        if self.sampling == "uniform":
            return (self.space.sample(rng),)
        drawn = [self.space.sample(rng) for _ in range(self.random_paths)]
        return (self.space.largest, self.space.smallest, *drawn)
