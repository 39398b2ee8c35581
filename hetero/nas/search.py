"""Search: for each tier, the point that is worth most within its budget, all from one supernet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from hetero.errors import InputError
from hetero.nas.algorithms.algorithm import AlgorithmConfig, follow
from hetero.nas.algorithms.allowed import Allowed, Costs
from hetero.nas.algorithms.registry import propose
from hetero.nas.cost.budget import Budget
from hetero.nas.evaluation.evaluations import Evaluations
from hetero.nas.evaluation.workers import Workers
from hetero.nas.space.architecture import Architecture
from hetero.nas.space.space import SearchSpace
from hetero.schema import record
from hetero.training.seeds import seed_of


@record
class Candidate:
    """A point that was evaluated.

    Attributes:
        architecture: The point.
        tier: Whose search proposed it first.
        generation: In which batch, from 0: the random ones.
        figures: As the evaluator gives them.
        costs: By the names of :mod:`hetero.nas.cost.budget`.
    """

    architecture: Architecture
    tier: str
    generation: int
    figures: dict[str, float]
    costs: dict[str, float]


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        winners: Tier -> the best candidate within its budget.
        candidates: All, in the order in which they were proposed.
    """

    winners: Mapping[str, Candidate]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class Search:
    """What is searched, and how.

    Attributes:
        space: The search space.
        budgets: Tier -> its budget, with numbers.
        costs: Of a point.
        algorithm: Started once for each tier.
        reward: The figure that a winner has the most of.
        seed: Decides what is proposed.
    """

    space: SearchSpace
    budgets: Mapping[str, Budget]
    costs: Costs
    algorithm: AlgorithmConfig
    reward: str
    seed: int = 0

    def run(self, evaluations: Evaluations, workers: Workers) -> Found:
        """Search, evaluating only what is not known yet.

        Args:
            evaluations: What is known; filled as the search goes on.
            workers: Who evaluates, started.

        Raises:
            InputError: When no point fits a budget.
        """
        allowed = {tier: Allowed(self.space, budget, self.costs) for tier, budget in self.budgets.items()}
        problems = [f"{tier}: {problem}" for tier, one in allowed.items() for problem in _problems(one)]
        if problems:
            raise InputError("no network of the search space fits:", problems)
        candidates: dict[Architecture, Candidate] = {}
        for tier, one in allowed.items():
            self._run_tier(tier, one, evaluations, workers, candidates)
        winners = {tier: self._best(budget, candidates.values()) for tier, budget in self.budgets.items()}
        return Found(winners, tuple(candidates.values()))

    def _run_tier(
        self,
        tier: str,
        allowed: Allowed,
        evaluations: Evaluations,
        workers: Workers,
        candidates: dict[Architecture, Candidate],
    ) -> None:
        total = self.algorithm.population * self.algorithm.generations
        with tqdm(total=total, desc=f"searching for {tier}", unit="candidate") as bar:
            generation = 0

            def measure(batch: list[Architecture]) -> list[float]:
                nonlocal generation
                _evaluate(batch, self.reward, evaluations, workers)
                bar.update(len(batch))
                for point in batch:
                    made = Candidate(point, tier, generation, evaluations[point], dict(self.costs(point)))
                    candidates.setdefault(point, made)
                generation += 1
                rewards = [evaluations[point][self.reward] for point in batch]
                bar.set_postfix_str(f"best {self.reward} of this generation {max(rewards):.3f}")
                return rewards

            follow(propose(allowed, self.algorithm, seed_of(tier, self.seed)), measure)

    def _best(self, budget: Budget, candidates: Iterable[Candidate]) -> Candidate:
        fitting = [one for one in candidates if budget.allows(one.costs)]
        return min(fitting, key=lambda one: (-one.figures[self.reward], one.costs["macs"], one.architecture.digest))


def _problems(allowed: Allowed) -> list[str]:
    return allowed.budget.exceeded(allowed.costs(allowed.space.smallest))


def _evaluate(batch: Sequence[Architecture], reward: str, evaluations: Evaluations, workers: Workers) -> None:
    unknown = [point for point in dict.fromkeys(batch) if not evaluations.has(point, reward)]
    for point, figures in workers.evaluate(unknown):
        evaluations.add(point, figures)
