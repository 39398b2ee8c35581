"""The effect of each image on a solution: exact where the dual fits, otherwise to first order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hetero.linear.deletion.deletion import Method
from hetero.linear.explanation.influence import first_order
from hetero.linear.solver.dual import Dual, fits
from hetero.linear.solver.precondition import kronecker
from hetero.linear.solver.problem import Problem
from hetero.linear.solver.solve import Preconditioner, solve_for

HIGH_LEVERAGE = 0.45
"""Leverage above which first order is far from exact: correlations of .91 at .45, .71 at .67."""
LEVERAGE_SETTLED = 0.05
"""Of the solve for leverage, which is then some 7 % too small."""
SETTLED = 0.03
"""Of solves for influences: photos come in nearly the order of tight solves, by a rank correlation of .96."""
DRAWS = 1
"""Draws of signs; one is enough, because it draws a sign for each output of each image."""


@dataclass(frozen=True)
class Scores:
    """The effect of each image on a solution.

    Attributes:
        method: ``dual`` is exact, ``conjugate gradients`` of first order.
        influences: A margin's gradient [p] -> float [n], the change of the margin without each image.
        residuals: [n], distance of each image's output from its target; by the dual, had the image not been used.
        leverage: Share of its own output that an image decides, on average: 0 nothing, 1 all of it.
    """

    method: Method
    influences: Callable[[Tensor], Tensor]
    residuals: Float[Tensor, " n"]
    leverage: float

    @classmethod
    def of(
        cls,
        problem: Problem,
        change: Float[Tensor, " p"],
        precondition: Preconditioner | None = None,
        *,
        steps: int = 100,
        settled: float = SETTLED,
        seed: int = 0,
    ) -> Scores:
        """Prepare the scores of a solution.

        Args:
            problem: The solved problem; in float64 for the dual.
            change: [p], its solution.
            precondition: As for :func:`hetero.linear.solver.solve.solve_for`; None to compute one where it is needed.
            steps: Most steps of conjugate gradients for each margin.
            settled: As for :func:`hetero.linear.solver.solve.solve_for`.
            seed: Seed of the preconditioner, and of the directions for the estimate of leverage.
        """
        if fits(problem):
            dual = Dual.of(problem)
            return cls("dual", dual.influences, dual.left_out().norm(dim=1), float(dual.leverages().mean()))
        apply = precondition or kronecker(problem, seed=seed)(problem.ridge)
        residuals = problem.residuals - problem.forward(change)

        def influences(gradient: Tensor) -> Tensor:
            return first_order(problem, residuals, solve_for(problem, gradient, apply, steps=steps, settled=settled))

        rough = max(settled, LEVERAGE_SETTLED) if settled else 0.0
        leverage = mean_leverage(problem, apply, steps=steps, settled=rough, seed=seed)
        return cls("conjugate gradients", influences, residuals.norm(dim=1), leverage)


def mean_leverage(
    problem: Problem, precondition: Preconditioner | None = None, *, steps: int, settled: float = 0.0, seed: int = 0
) -> float:
    """Estimate the mean of an image's leverage, ``trace(J H^-1 J') / (N^2 k)``.

    Args:
        problem: The problem, with or without anchors.
        precondition: As for :func:`hetero.linear.solver.solve.solve_for`.
        steps: Most steps of conjugate gradients.
        settled: As for :func:`hetero.linear.solver.solve.solve_for`.
        seed: Seed of the random directions.
    """
    count, size = problem.targets.shape
    generator = torch.Generator().manual_seed(seed)
    estimates: list[float] = []
    for _ in range(DRAWS):
        signs = 2 * torch.randint(0, 2, (count, size), generator=generator).to(problem.model.dtype) - 1
        gradient = problem.backward(signs)
        direction = solve_for(problem, gradient, precondition, steps=steps, settled=settled)
        estimates.append(float(torch.dot(gradient, direction)) / (count * count * size))
    return sum(estimates) / len(estimates)
