"""What each image did to a solution: exactly where the dual fits, otherwise to first order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hetero.linear.deletion.deletion import Method
from hetero.linear.explanation.influence import influences
from hetero.linear.solver.dual import Dual, fits
from hetero.linear.solver.precondition import kronecker
from hetero.linear.solver.problem import Problem
from hetero.linear.solver.solve import Preconditioner, solve_for

HIGH_LEVERAGE = 0.45
"""Above it first order is far from exact: correlations of .91 at .45, .71 at .67."""
LEVERAGE_TOLERANCE = 0.1
DRAWS = 1
"""Of all images together: their signs are many."""


@dataclass(frozen=True)
class Scores:
    """A solution, asked about its images.

    Attributes:
        method: ``dual`` is exact, ``conjugate gradients`` of first order.
        influences: Of a margin's gradient [p]: float [n], by how much the margin would change without each image.
        residuals: [n], how far each image's answer is from its target; by the dual, had it never been seen.
        leverage: How much of its own answer an image decides, on average: 0 nothing, 1 all of it.
    """

    method: Method
    influences: Callable[[Tensor], Tensor]
    residuals: Float[Tensor, " n"]
    leverage: float

    @classmethod
    def of(
        cls, problem: Problem, change: Float[Tensor, " p"], *, steps: int = 100, tolerance: float = 0.05, seed: int = 0
    ) -> Scores:
        """Prepare to answer.

        Args:
            problem: In float64 for the dual.
            change: [p], its solution.
            steps: At most, of conjugate gradients, for each question.
            tolerance: As for :func:`hetero.linear.solver.solve.solve_for`.
            seed: Of the preconditioner, and of the directions that leverage is estimated on.
        """
        if fits(problem):
            dual = Dual.of(problem)
            return cls("dual", dual.influences, dual.left_out().norm(dim=1), float(dual.leverages().mean()))
        precondition = kronecker(problem, seed=seed)(problem.ridge)

        def first_order(gradient: Tensor) -> Tensor:
            return influences(problem, change, gradient, precondition, steps=steps, tolerance=tolerance)

        missed = problem.residuals - problem.model.forward_product(problem.inputs, change)
        # Two digits of it are shown, and it is off by the square of this only.
        rough = max(tolerance, LEVERAGE_TOLERANCE)
        leverage = mean_leverage(problem, precondition, steps=steps, tolerance=rough, seed=seed)
        return cls("conjugate gradients", first_order, missed.norm(dim=1), leverage)


def mean_leverage(
    problem: Problem, precondition: Preconditioner | None = None, *, steps: int, tolerance: float, seed: int = 0
) -> float:
    """Estimate the mean of an image's leverage, ``trace(J H^-1 J') / (N^2 k)``.

    Args:
        problem: With anchors or without.
        precondition: As for :func:`hetero.linear.solver.solve.solve_for`.
        steps: At most.
        tolerance: As for :func:`hetero.linear.solver.solve.solve_for`.
        seed: Of the random directions.
    """
    model, (count, size) = problem.model, problem.targets.shape
    drawn = torch.Generator().manual_seed(seed)
    found: list[float] = []
    for _ in range(DRAWS):
        signs = 2 * torch.randint(0, 2, (count, size), generator=drawn).to(model.dtype) - 1
        pulled = model.backward_product(problem.inputs, signs)
        solved = solve_for(problem, pulled, precondition, steps=steps, tolerance=tolerance)
        found.append(float(torch.dot(pulled, solved)) / (count * count * size))
    return sum(found) / len(found)
