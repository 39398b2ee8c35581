"""The protocol of a search algorithm: it proposes a batch of points, receives their rewards, and proposes the next.

An algorithm is a generator, and draws from one random generator alone. Batches have the size that its options set,
however many workers evaluate them, so a seed decides all proposals. An interrupted search is started again from its
seed; points already evaluated are looked up, and so it continues where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Annotated, Literal, Protocol, TypeAlias, runtime_checkable

import numpy as np
from annotated_types import Interval

from hetero.constraints import Count
from hetero.nas.algorithms.allowed import Allowed
from hetero.nas.space.architecture import Architecture
from hetero.schema import settings

Proposals: TypeAlias = Generator[list[Architecture], list[float], None]
AlgorithmName = Literal["evolution", "regularised", "random", "pareto"]


@settings
class AlgorithmConfig:
    """A search algorithm with its options; ``population * generations`` points are evaluated.

    Attributes:
        name: ``evolution`` as in CMP-NAS, ``regularised`` evolution, ``random``, or ``pareto`` (NSGA-II: the reward
            against :attr:`cost`; needs the extra ``search``).
        population: Points of a generation.
        generations: Number of generations, the first random one included.
        parents: Number of the best points so far from which evolution breeds.
        mutation: Probability with which a choice is drawn anew.
        tournament: Points of which regularised evolution takes the best as a parent.
        cost: The cost that the Pareto mode trades the reward against, a quantity of a budget.
    """

    name: AlgorithmName = "evolution"
    population: Count = 50
    generations: Count = 20
    parents: Count = 10
    mutation: Annotated[float, Interval(gt=0, le=1)] = 0.1
    tournament: Count = 10
    cost: str = "macs"


@runtime_checkable
class Algorithm(Protocol):
    """A function that starts a search."""

    def __call__(self, allowed: Allowed, config: AlgorithmConfig, rng: np.random.Generator) -> Proposals:
        """Propose batches until the search is over; each ``yield`` is answered with its points' rewards, in order."""
        ...


Measure = Callable[[list[Architecture]], list[float]]


def follow(proposals: Proposals, measure: Measure) -> list[list[Architecture]]:
    """Run a search to its end.

    Args:
        proposals: A search that was just started.
        measure: Returns the rewards of a batch, in order.

    Returns:
        Every batch.
    """
    batches: list[list[Architecture]] = []
    batch = next(proposals, None)
    while batch is not None:
        batches.append(batch)
        rewards = measure(batch)
        try:
            batch = proposals.send(rewards)
        except StopIteration:
            batch = None
    return batches
