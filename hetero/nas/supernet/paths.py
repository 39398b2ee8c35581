"""The points of the space that a step of a supernet trains: a pure function of seed and step, so that runs resume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hetero.nas.space.architecture import Architecture
from hetero.nas.space.space import SearchSpace


@dataclass(frozen=True)
class Paths:
    """The points of each step.

    All points of a step are of one kind, each kind as often as the others. The space opens over the first steps: a
    random point is the largest with each choice drawn anew with a probability that grows from 0 to 1. Blocks therefore
    learn to replace those of a network that already embeds, instead of all at once from noise; progressive shrinking
    (arXiv 1908.09791) does the same in phases.

    Attributes:
        space: The space that they are drawn from.
        sampling: ``uniform``: one random point (single path one-shot, arXiv 1904.00420). ``sandwich``: the
            largest, the smallest and some random ones (arXiv 1903.05134; without its distillation, since the cloud
            teaches every point).
        random_paths: Random points of a step of the sandwich rule.
        seed: Decides every draw.
        opening: Steps until every point is equally likely.
    """

    space: SearchSpace
    sampling: Literal["uniform", "sandwich"]
    random_paths: int
    seed: int
    opening: int = 0

    def of(self, step: int) -> tuple[Architecture, ...]:
        """Return the points of a step, counted from 0."""
        rng = np.random.default_rng([self.seed, 3, step])
        kind = self.space.kind[int(rng.integers(len(self.space.kind)))]
        space = replace(self.space, kind=(kind,))
        rate = min(1.0, step / self.opening) if self.opening else 1.0
        if self.sampling == "uniform":
            return (space.mutate(space.largest, rng, rate),)
        points = [space.mutate(space.largest, rng, rate) for _ in range(self.random_paths)]
        return (space.largest, space.smallest, *points)
