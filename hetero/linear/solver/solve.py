"""Solve the convex problem by preconditioned conjugate gradients."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hetero.display.progress import Bar
from hetero.linear.solver.problem import Problem

Preconditioner = Callable[[Tensor], Tensor]
WINDOW = 4
"""Steps whose gain together tells whether a solve has settled."""


@dataclass(frozen=True)
class Solution:
    """The result of conjugate gradients.

    Attributes:
        change: [p], d.
        objectives: L at the start and after each step.
        residual: |g - H d| / |g|, by the recurrence: 0 at the solution.
    """

    change: Float[Tensor, " p"]
    objectives: tuple[float, ...]
    residual: float

    @property
    def steps(self) -> int:
        """Number of steps taken."""
        return len(self.objectives) - 1


def solve(
    problem: Problem,
    precondition: Preconditioner | None = None,
    *,
    start: Float[Tensor, " p"] | None = None,
    steps: int = 50,
    tolerance: float = 1e-6,
    progress: str = "",
    history: list[tuple[Tensor, Tensor]] | None = None,
) -> Solution:
    """Solve H d = g. Each step costs one product with the Jacobian of every image and one with its transpose.

    Args:
        problem: Provides H and g.
        precondition: Applies an approximation of H's inverse, symmetric and positive; None for none.
        start: [p], starting point; None for 0.
        steps: Most steps.
        tolerance: Share of ``|g|`` to which ``|g - H d|`` must fall for the solver to stop.
        progress: Label of a progress bar; none when empty.
        history: List that receives each step [p], and H times it.
    """
    gradient = problem.gradient
    goal = tolerance * float(gradient.norm())
    iterates = _iterates(problem, gradient, precondition, start, history)
    change, residual = next(iterates)
    objectives = [_objective(problem, change, residual)]
    with Bar(total=steps, desc=progress, disable=not progress, unit="step") as bar:
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
    settled: float = 0.0,
) -> Float[Tensor, " p"]:
    """Solve H v = b for another right side than the problem's own.

    Args:
        problem: Provides H.
        right: [p], b.
        precondition: As for :func:`solve`.
        steps: As for :func:`solve`.
        tolerance: As for :func:`solve`, against ``|b|``.
        settled: Share of ``b'v`` that the last :data:`WINDOW` steps may have brought for the solver to stop. Each step
            adds to ``b'v``, up to ``b'H^-1 b``, and its growth tells sooner than the residual, which rises and falls.
    """
    goal = tolerance * float(right.norm())
    reached: list[float] = []
    for step, (solution, residual) in enumerate(_iterates(problem, right, precondition, None)):
        reached.append(float(torch.dot(right, solution)))
        if step == steps or float(residual.norm()) <= goal:
            return solution
        if settled and step >= WINDOW and reached[-1] - reached[-1 - WINDOW] <= settled * reached[-1]:
            return solution
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
    """Solve for several ridges by the steps for a single one, well enough to choose between them.

    The steps for the ridge in the middle span a space, in which a dense system, one row a step, gives the best change
    for any ridge. More steps bring only the middle ridge to its solution: for another one, continue with :func:`solve`
    from the change found here. Takes memory for two vectors [p] a step.

    Args:
        problem: The problem; its ridge is not used.
        preconditioner: A function from a ridge to an approximate inverse, as of
            :func:`hetero.linear.solver.precondition.kronecker`.
        ridges: At least one ridge.
        steps: As for :func:`solve`.
        tolerance: As for :func:`solve`, for the ridge in the middle.
        progress: As for :func:`solve`.

    Returns:
        The solution for each ridge, the largest ridge first.
    """
    ordered = sorted(set(ridges), reverse=True)
    middle = problem.with_ridge(ordered[0] if len(ordered) == 1 else math.sqrt(ordered[0] * ordered[-1]))
    history: list[tuple[Tensor, Tensor]] = []
    solution = solve(
        middle, preconditioner(middle.ridge), steps=steps, tolerance=tolerance, progress=progress, history=history
    )
    if len(ordered) == 1 or not history:
        return dict.fromkeys(ordered, solution)
    return {ridge: _within(middle.with_ridge(ridge), middle.ridge, history) for ridge in ordered}


def _within(problem: Problem, ridge: float, history: list[tuple[Tensor, Tensor]]) -> Solution:
    """Return the best change in the space of the steps that were taken for another ridge."""
    steps = torch.stack([step for step, _ in history])
    curved = torch.stack([product for _, product in history]) + (problem.ridge - ridge) * steps
    # The system is small but nearly singular: late steps are short, and not quite conjugate in float32.
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
    history: list[tuple[Tensor, Tensor]] | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield d and b - H d at the start and after each step; add each step, and H times it, to ``history``."""
    apply = precondition or (lambda vector: vector)
    change = torch.zeros_like(right) if start is None else start.clone()
    residual = right.clone() if start is None else right - problem.curvature(change)
    yield change, residual
    scaled = apply(residual)
    direction, slope = scaled, torch.dot(residual, scaled)
    while True:
        curved = problem.curvature(direction)
        length = slope / torch.dot(direction, curved)
        change = change + length * direction
        residual = residual - length * curved
        if history is not None:
            history.append((length * direction, length * curved))
        yield change, residual
        scaled = apply(residual)
        before, slope = slope, torch.dot(residual, scaled)
        direction = scaled + slope / before * direction


def _objective(problem: Problem, change: Tensor, residual: Tensor) -> float:
    """Return L(d) = L(0) - 2 g'd + d'H d, with H d = g - residual."""
    return problem.at_origin - float(torch.dot(change, problem.gradient + residual))
