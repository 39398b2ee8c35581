"""The Pareto mode: reward against a cost, by pymoo's NSGA-II (Deb et al., 2002)."""

from __future__ import annotations

from typing import Any

import numpy as np

from hetero.errors import InputError
from hetero.nas.algorithms.algorithm import AlgorithmConfig, Proposals
from hetero.nas.algorithms.allowed import Allowed
from hetero.nas.space.architecture import Architecture


def pareto(allowed: Allowed, config: AlgorithmConfig, rng: np.random.Generator) -> Proposals:
    """Propose generation after generation, kept spread along the front of reward against ``config.cost``.

    Raises:
        InputError: When pymoo is not installed.
    """
    algorithm = _nsga2(allowed, config, rng)
    while algorithm.has_next():
        individuals = algorithm.ask()
        batch: list[Architecture] = [individual.X[0] for individual in individuals]
        rewards = yield batch
        costs = [allowed.costs(point)[config.cost] for point in batch]
        individuals.set("F", np.column_stack([np.negative(rewards), costs]))
        for individual in individuals:
            individual.evaluated.add("F")
        algorithm.evaluator.n_eval += len(batch)
        algorithm.tell(infills=individuals)


def _nsga2(allowed: Allowed, config: AlgorithmConfig, rng: np.random.Generator) -> Any:
    """Set up an NSGA-II that draws its points by ``allowed``, seeded from ``rng``."""
    try:
        from pymoo.algorithms.moo.nsga2 import NSGA2
        from pymoo.core.crossover import Crossover
        from pymoo.core.duplicate import ElementwiseDuplicateElimination
        from pymoo.core.mutation import Mutation
        from pymoo.core.problem import Problem
        from pymoo.core.sampling import Sampling
    except ImportError as error:
        raise InputError(
            f"the Pareto mode needs pymoo ({error}); install the extra: pip install 'hetero[search]'"
        ) from None

    class Drawn(Sampling):
        def _do(self, problem: Any, n_samples: int, *args: Any, **kwargs: Any) -> Any:
            return _column([allowed.sample(rng) for _ in range(n_samples)])

    class Crossed(Crossover):
        def __init__(self) -> None:
            super().__init__(n_parents=2, n_offsprings=1)

        def _do(self, problem: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
            children = [allowed.crossover(one, other, rng) for one, other in zip(X[0, :, 0], X[1, :, 0], strict=True)]
            return _column(children)[None]

    class Mutated(Mutation):
        def _do(self, problem: Any, X: Any, *args: Any, **kwargs: Any) -> Any:
            return _column([allowed.mutate(parent, rng, config.mutation) for parent in X[:, 0]])

    class Same(ElementwiseDuplicateElimination):
        def is_equal(self, a: Any, b: Any) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride]
            return bool(a.X[0] == b.X[0])

    problem = Problem(n_var=1, n_obj=2, vtype=object)
    # pymoo infers the kinds of its operators from their defaults.
    operators: dict[str, Any] = {"sampling": Drawn(), "crossover": Crossed(), "mutation": Mutated()}
    algorithm = NSGA2(pop_size=config.population, eliminate_duplicates=Same(), **operators)
    seed = int(rng.integers(2**31))
    algorithm.setup(problem, termination=("n_gen", config.generations), seed=seed, verbose=False)
    return algorithm


def _column(points: list[Architecture]) -> Any:
    """Return the points as an object array [n, 1]."""
    column = np.empty((len(points), 1), dtype=object)
    column[:, 0] = points
    return column
