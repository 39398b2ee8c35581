"""A solved problem without some of its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from hetero.linear.solver.dual import Dual, fits
from hetero.linear.solver.precondition import kronecker
from hetero.linear.solver.problem import Problem
from hetero.linear.solver.solve import Solution, solve

Method = Literal["dual", "conjugate gradients", "anew"]


@dataclass(frozen=True)
class Deletion:
    """The problem and its solution without the deleted images.

    Attributes:
        problem: The problem of the images that stay.
        solution: Its solution.
        anew: [p], its solution from the beginning, without any use of the deleted images; None if not requested.
        method: The method that found ``solution``.
    """

    problem: Problem
    solution: Solution
    anew: Float[Tensor, " p"] | None
    method: Method


def delete(
    problem: Problem,
    rows: Sequence[int],
    start: Float[Tensor, " p"] | None = None,
    *,
    steps: int = 500,
    apart: float = 1e-8,
    seed: int = 0,
    anew: bool = False,
) -> Deletion:
    """Solve a problem as if some images had never been in it; every other keeps its weight.

    By the dual where it fits, which is exact; otherwise by conjugate gradients from ``start``. From 0, the deleted
    images take no part at all, however few the steps: the method is ``anew``.

    Args:
        problem: The problem of all images; in float64 for the dual.
        rows: Images to leave out, each once, and not all of them.
        start: [p], the present solution; None for 0.
        steps: Most steps of conjugate gradients.
        apart: Largest distance of outputs from the exact ones at which the solver may stop, see
            :meth:`hetero.linear.solver.problem.Problem.apart`.
        seed: Seed of the preconditioner.
        anew: True to solve once more from 0 where the solution was not, without any use of the deleted images.
    """
    rest = _without(problem, rows)
    if fits(problem):
        change = Dual.of(problem).without(rows)
        residual = float(rest.left(change).norm() / rest.gradient.norm())
        again = Dual.of(rest).change if anew else None
        return Deletion(rest, Solution(change, (rest.objective(change),), residual), again, "dual")
    precondition = kronecker(rest, seed=seed)(rest.ridge)
    tolerance = apart / rest.apart(float(rest.gradient.norm()))[1]

    def solve_from(start: Tensor | None, progress: str) -> Solution:
        return solve(rest, precondition, start=start, steps=steps, tolerance=tolerance, progress=progress)

    solution = solve_from(start, "forgetting")
    if start is None:
        return Deletion(rest, solution, solution.change if anew else None, "anew")
    again = solve_from(None, "solving anew").change if anew else None
    return Deletion(rest, solution, again, "conjugate gradients")


def _without(problem: Problem, rows: Sequence[int]) -> Problem:
    """Return the problem of the images that stay, each with the weight that it had."""
    count, deleted = len(problem.inputs), set(rows)
    remaining = [row for row in range(count) if row not in deleted]
    share = len(remaining) / count
    return replace(
        problem,
        inputs=problem.inputs[remaining],
        targets=problem.targets[remaining],
        ridge=problem.ridge / share,
        anchor_weight=problem.anchor_weight / share,
    )
