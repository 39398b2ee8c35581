"""Search: for each tier, the best point within its budget, all from one supernet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hetero.display.progress import Bar
from hetero.errors import InputError
from hetero.mistakes import attempt
from hetero.nas.algorithms.algorithm import AlgorithmConfig, follow
from hetero.nas.algorithms.allowed import Allowed, Costs
from hetero.nas.algorithms.registry import propose
from hetero.nas.algorithms.undivided import undivided
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
        tier: The tier whose search proposed it first.
        generation: Number of its batch; batch 0 is random.
        figures: Figures by the evaluator.
        costs: Costs by the names of :mod:`hetero.nas.cost.budget`.
    """

    architecture: Architecture
    tier: str
    generation: int
    figures: dict[str, float]
    costs: dict[str, float]


@dataclass(frozen=True)
class Found:
    """The result of a search.

    Attributes:
        winners: Tier -> the best candidate within its budget.
        candidates: All candidates, in the order in which they were proposed.
    """

    winners: Mapping[str, Candidate]
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class Search:
    """A search over one space for several tiers.

    Attributes:
        space: The search space.
        budgets: Tier -> its budget, with numbers.
        costs: Returns the costs of a point.
        algorithm: The algorithm, started once for each tier.
        reward: The figure by which a winner is best.
        seed: Decides all proposals.
    """

    space: SearchSpace
    budgets: Mapping[str, Budget]
    costs: Costs
    algorithm: AlgorithmConfig
    reward: str
    seed: int = 0

    def run(self, evaluations: Evaluations, workers: Workers) -> Found:
        """Search, evaluating only points whose figures are not known yet.

        Args:
            evaluations: The known figures; filled as the search proceeds.
            workers: Workers that are started.

        Raises:
            InputError: When no point fits a budget.
        """
        problems = list[str]()
        spaces = {
            tier: attempt(problems, tier, lambda budget=budget: undivided(self.space, budget, self.costs))
            for tier, budget in self.budgets.items()
        }
        allowed = {
            tier: Allowed(space, self.budgets[tier], self.costs) for tier, space in spaces.items() if space is not None
        }
        problems += [f"{tier}: {problem}" for tier, points in allowed.items() for problem in _problems(points)]
        if problems:
            raise InputError("no network of the search space fits:", problems)
        candidates: dict[Architecture, Candidate] = {}
        for tier, points in allowed.items():
            self._run_tier(tier, points, evaluations, workers, candidates)
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
        with Bar(total=total, desc=f"searching for {tier}", unit="candidate") as bar:
            generation = 0

            def measure(batch: list[Architecture]) -> list[float]:
                nonlocal generation
                _evaluate(batch, self.reward, evaluations, workers)
                bar.update(len(batch))
                for point in batch:
                    candidate = Candidate(point, tier, generation, evaluations[point], dict(self.costs(point)))
                    candidates.setdefault(point, candidate)
                generation += 1
                rewards = [evaluations[point][self.reward] for point in batch]
                bar.set_postfix_str(f"best {self.reward} of this generation {max(rewards):.3f}")
                return rewards

            follow(propose(allowed, self.algorithm, seed_of(tier, self.seed)), measure)

    def _best(self, budget: Budget, candidates: Iterable[Candidate]) -> Candidate:
        fitting = [point for point in candidates if budget.allows(point.costs)]
        return min(fitting, key=lambda fit: (-fit.figures[self.reward], fit.costs["macs"], fit.architecture.digest))


def _problems(allowed: Allowed) -> list[str]:
    return allowed.budget.exceeded(allowed.costs(allowed.space.smallest))


def _evaluate(batch: Sequence[Architecture], reward: str, evaluations: Evaluations, workers: Workers) -> None:
    unknown = [point for point in dict.fromkeys(batch) if not evaluations.has(point, reward)]
    for point, figures in workers.evaluate(unknown):
        evaluations.add(point, figures)
