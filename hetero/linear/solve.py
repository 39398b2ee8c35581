"""Solve the convex problem by preconditioned conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from hetero.linear.problem import Problem

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
) -> Solution:
    """Solve H d = g. Each step costs one product with the Jacobian of every image and one with its transpose.

    Args:
        problem: Gives H and g.
        precondition: Applies an approximation of H's inverse, symmetric and positive; None for none.
        start: [p], where to begin; None for 0.
        steps: At most.
        tolerance: Ends when ``|g - H d|`` is at most this share of ``|g|``.
        progress: Label of a progress bar; none when empty.
    """
    gradient = problem.gradient
    goal = tolerance * float(gradient.norm())
    iterates = _iterates(problem, gradient, precondition, start)
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


def _iterates(
    problem: Problem, right: Tensor, precondition: Preconditioner | None, start: Tensor | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield d and b - H d: at the start, and after each step."""
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
        yield found, residual
        scaled = apply(residual)
        before, slope = slope, torch.dot(residual, scaled)
        direction = scaled + slope / before * direction


def _objective(problem: Problem, change: Tensor, residual: Tensor) -> float:
    """L(d) = L(0) - 2 g'd + d'H d, with H d = g - residual."""
    return problem.at_origin - float(torch.dot(change, problem.gradient + residual))
