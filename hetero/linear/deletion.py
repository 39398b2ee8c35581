"""A solved problem without some of its images, and the same solved anew: the proof that nothing of them is left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from hetero.linear.dual import Dual, fits
from hetero.linear.precondition import kronecker
from hetero.linear.problem import Problem
from hetero.linear.solve import Solution, solve

Method = Literal["dual", "conjugate gradients"]


@dataclass(frozen=True)
class Deletion:
    """What is left.

    Attributes:
        problem: Of the images that stay.
        solution: Of that, from what all images led to.
        anew: [p], the solution of one who never saw the others.
        method: How ``solution`` was found.
    """

    problem: Problem
    solution: Solution
    anew: Float[Tensor, " p"]
    method: Method

    @property
    def apart(self) -> float:
        """How far the two solutions are apart, relative to the second."""
        return float((self.solution.change - self.anew).norm() / self.anew.norm())


def delete(
    problem: Problem,
    rows: Sequence[int],
    start: Float[Tensor, " p"] | None = None,
    *,
    steps: int = 500,
    tolerance: float = 1e-8,
    seed: int = 0,
) -> Deletion:
    """Solve a problem as if some images had never been there; every other keeps its weight.

    By the dual where it fits, which is exact; otherwise by conjugate gradients from ``start``.

    Args:
        problem: Of all images, in float64.
        rows: Images to leave out, each once, and not all of them.
        start: [p], the solution as it stands; None for 0.
        steps: At most, of conjugate gradients.
        tolerance: As for :func:`hetero.linear.solve.solve`.
        seed: Of the preconditioner.
    """
    rest = _without(problem, rows)
    if fits(problem):
        change = Dual.of(problem).without(rows)
        left = float((rest.gradient - rest.curvature(change)).norm() / rest.gradient.norm())
        return Deletion(rest, Solution(change, (rest.objective(change),), left), Dual.of(rest).change, "dual")
    precondition = kronecker(rest, seed=seed)(rest.ridge)
    changed, anew = (
        solve(rest, precondition, start=place, steps=steps, tolerance=tolerance, progress=progress)
        for place, progress in ((start, "forgetting"), (None, "solving anew"))
    )
    return Deletion(rest, changed, anew.change, "conjugate gradients")


def _without(problem: Problem, rows: Sequence[int]) -> Problem:
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
