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

Method = Literal["dual", "conjugate gradients"]


@dataclass(frozen=True)
class Deletion:
    """What is left.

    Attributes:
        problem: Of the images that stay.
        solution: Of that, from what all images led to.
        anew: [p], the solution of one who never saw the others; None where it was not asked for.
        method: How ``solution`` was found.
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
    """Solve a problem as if some images had never been there; every other keeps its weight.

    By the dual where it fits, which is exact; otherwise by conjugate gradients from ``start``.

    Args:
        problem: Of all images; in float64 for the dual.
        rows: Images to leave out, each once, and not all of them.
        start: [p], the solution as it stands; None for 0.
        steps: At most, of conjugate gradients.
        apart: Ends when answers can be no farther than this from the exact ones, see
            :meth:`hetero.linear.solver.problem.Problem.left`.
        seed: Of the preconditioner.
        anew: True to solve once more, from 0, by somebody who never saw the others.
    """
    rest = _without(problem, rows)
    if fits(problem):
        change = Dual.of(problem).without(rows)
        left = float(rest.left(change).norm() / rest.gradient.norm())
        again = Dual.of(rest).change if anew else None
        return Deletion(rest, Solution(change, (rest.objective(change),), left), again, "dual")
    precondition = kronecker(rest, seed=seed)(rest.ridge)
    tolerance = apart * rest.ridge**0.5 / float(rest.gradient.norm())

    def solved(start: Tensor | None, progress: str) -> Solution:
        return solve(rest, precondition, start=start, steps=steps, tolerance=tolerance, progress=progress)

    again = solved(None, "solving anew").change if anew else None
    return Deletion(rest, solved(start, "forgetting"), again, "conjugate gradients")


def _without(problem: Problem, rows: Sequence[int]) -> Problem:
    """The problem of the images that stay, each of the weight that it had."""
    count, gone = len(problem.inputs), set(rows)
    kept = [row for row in range(count) if row not in gone]
    share = len(kept) / count
    return replace(
        problem,
        inputs=problem.inputs[kept],
        targets=problem.targets[kept],
        ridge=problem.ridge / share,
        anchor_weight=problem.anchor_weight / share,
    )
