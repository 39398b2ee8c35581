"""Solve the convex problem by preconditioned conjugate gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from hetero.linear.solver.problem import Problem

Preconditioner = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Solution:
    """Where conjugate gradients ended.

    Attributes:
        change: [p], d.
        objectives: L at the start and after each step.
        residual: |g - H d| / |g|, as the recurrence has it: 0 at the solution.
    """

    change: Float[Tensor, " p"]
    objectives: tuple[float, ...]
    residual: float

    @property
    def steps(self) -> int:
        """How many were taken."""
        return len(self.objectives) - 1


def solve(
    problem: Problem,
    precondition: Preconditioner | None = None,
    *,
    start: Float[Tensor, " p"] | None = None,
    steps: int = 50,
    tolerance: float = 1e-6,
    progress: str = "",
    taken: list[tuple[Tensor, Tensor]] | None = None,
) -> Solution:
    """Solve H d = g. Each step costs one product with the Jacobian of every image and one with its transpose.

    Args:
        problem: Gives H and g.
        precondition: Applies an approximation of H's inverse, symmetric and positive; None for none.
        start: [p], where to begin; None for 0.
        steps: At most.
        tolerance: Ends when ``|g - H d|`` is at most this share of ``|g|``.
        progress: Label of a progress bar; none when empty.
        taken: Is given each step [p], and H times it.
    """
    gradient = problem.gradient
    goal = tolerance * float(gradient.norm())
    iterates = _iterates(problem, gradient, precondition, start, taken)
    change, residual = next(iterates)
    objectives = [_objective(problem, change, residual)]
    with tqdm(total=steps, desc=progress, disable=not progress, unit="step") as bar:
        while len(objectives) <= steps and float(residual.norm()) > goal:
            change, residual = next(iterates)
            objectives.append(_objective(problem, change, residual))
            bar.update()
    size = float(gradient.norm())
    return Solution(change, tuple(objectives), float(residual.norm()) / size if size else 0.0)


def solve_for(
    problem: Problem,
    right: Float[Tensor, " p"],
    precondition: Preconditioner | None = None,
    *,
    steps: int = 50,
    tolerance: float = 1e-6,
) -> Float[Tensor, " p"]:
    """Solve H v = b for another right side than the problem's own.

    Args:
        problem: Gives H.
        right: [p], b.
        precondition: As for :func:`solve`.
        steps: As for :func:`solve`.
        tolerance: As for :func:`solve`, against ``|b|``.
    """
    goal = tolerance * float(right.norm())
    for step, (found, residual) in enumerate(_iterates(problem, right, precondition, None)):
        if step == steps or float(residual.norm()) <= goal:
            return found
    raise AssertionError("conjugate gradients have no last iterate")


def solve_ridges(
    problem: Problem,
    preconditioner: Callable[[float], Preconditioner],
    ridges: Sequence[float],
    *,
    steps: int = 50,
    tolerance: float = 1e-6,
    progress: str = "",
) -> dict[float, Solution]:
    """Solve for several ridges by the steps of one, well enough to choose between them.

    The steps for the ridge in the middle span a space, in which the best change for any ridge is that of a dense
    system as wide as there were steps. More steps bring only the ridge in the middle to its solution: for another one,
    go on with :func:`solve` from the change found here. Takes memory for two vectors [p] a step.

    Args:
        problem: Its ridge does not count.
        preconditioner: A ridge to an approximate inverse, as :func:`hetero.linear.solver.precondition.kronecker` gives
            it.
        ridges: At least one.
        steps: As for :func:`solve`.
        tolerance: As for :func:`solve`, for the ridge in the middle.
        progress: As for :func:`solve`.

    Returns:
        What was found for each ridge, the largest first.
    """
    wanted = sorted(set(ridges), reverse=True)
    middle = problem.with_ridge(wanted[0] if len(wanted) == 1 else math.sqrt(wanted[0] * wanted[-1]))
    taken: list[tuple[Tensor, Tensor]] = []
    solution = solve(
        middle, preconditioner(middle.ridge), steps=steps, tolerance=tolerance, progress=progress, taken=taken
    )
    if len(wanted) == 1 or not taken:
        return dict.fromkeys(wanted, solution)
    return {ridge: _within(middle.with_ridge(ridge), middle.ridge, taken) for ridge in wanted}


def _within(problem: Problem, ridge: float, taken: list[tuple[Tensor, Tensor]]) -> Solution:
    """The best change in the space of steps that were taken for another ridge."""
    steps = torch.stack([step for step, _ in taken])
    curved = torch.stack([each for _, each in taken]) + (problem.ridge - ridge) * steps
    # Of a few unknowns, but nearly singular: late steps are short, and not quite conjugate in float32.
    lengths = steps.norm(dim=1)
    steps, curved = steps / lengths[:, None], curved / lengths[:, None]
    system, right = (steps @ curved.T).double(), (steps @ problem.gradient).double()
    system = (system + system.T) / 2
    objectives = [problem.at_origin]
    shares = right
    for count in range(1, len(right) + 1):
        shares = torch.linalg.solve(system[:count, :count], right[:count])
        objectives.append(problem.at_origin - float(right[:count] @ shares))
    change = shares.to(steps.dtype) @ steps
    residual = problem.gradient - shares.to(steps.dtype) @ curved
    return Solution(change, tuple(objectives), float(residual.norm() / problem.gradient.norm()))


def _iterates(
    problem: Problem,
    right: Tensor,
    precondition: Preconditioner | None,
    start: Tensor | None,
    taken: list[tuple[Tensor, Tensor]] | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield d and b - H d: at the start, and after each step; keep each step, and H times it, in ``taken``."""
    apply = precondition or (lambda vector: vector)
    found = torch.zeros_like(right) if start is None else start.clone()
    residual = right.clone() if start is None else right - problem.curvature(found)
    yield found, residual
    scaled = apply(residual)
    direction, slope = scaled, torch.dot(residual, scaled)
    while True:
        curved = problem.curvature(direction)
        length = slope / torch.dot(direction, curved)
        found = found + length * direction
        residual = residual - length * curved
        if taken is not None:
            taken.append((length * direction, length * curved))
        yield found, residual
        scaled = apply(residual)
        before, slope = slope, torch.dot(residual, scaled)
        direction = scaled + slope / before * direction


def _objective(problem: Problem, change: Tensor, residual: Tensor) -> float:
    """L(d) = L(0) - 2 g'd + d'H d, with H d = g - residual."""
    return problem.at_origin - float(torch.dot(change, problem.gradient + residual))
