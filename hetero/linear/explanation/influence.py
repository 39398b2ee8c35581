"""The influence of each image on a query's margin between a right and a wrong gallery image.

The margin ``m(d) = f(x; d)'(right - wrong)`` is linear in the change d: below zero, the wrong image is found first. To
first order, without image i it would change by ``-r_i' J_i v / N`` with ``v = H^-1 grad m`` and ``r_i`` the image's
remaining residual: one solve and one product score all images. That is near the exact change
(:meth:`hetero.linear.solver.dual.Dual.influences`) only where an image decides little of its own output, see
:meth:`hetero.linear.solver.dual.Dual.leverages`.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from hetero.linear.solver.linearised import Linearised
from hetero.linear.solver.problem import Problem
from hetero.linear.solver.solve import Preconditioner, solve_for


def margin_gradient(
    model: Linearised, query: Float[Tensor, "1 ..."], right: Float[Tensor, " k"], wrong: Float[Tensor, " k"]
) -> Float[Tensor, " p"]:
    """Return the gradient of a query's margin between two gallery vectors with respect to the weights.

    Args:
        model: The network.
        query: [1, ...], the network's input for the query.
        right: [k], the gallery vector that should be found.
        wrong: [k], the gallery vector that is found.
    """
    return model.backward_product(query, (right - wrong)[None].to(model.dtype))


def influences(
    problem: Problem,
    change: Float[Tensor, " p"],
    gradient: Float[Tensor, " p"],
    precondition: Preconditioner | None = None,
    *,
    steps: int = 50,
    tolerance: float = 1e-6,
) -> Float[Tensor, " n"]:
    """Return the change of a margin without each image, to first order: above zero, the image did harm.

    Args:
        problem: The solved problem, with or without anchors.
        change: [p], its solution.
        gradient: [p], gradient of the margin, see :func:`margin_gradient`; for several margins, their sum.
        precondition: As for :func:`hetero.linear.solver.solve.solve`.
        steps: Most steps of conjugate gradients.
        tolerance: As for :func:`hetero.linear.solver.solve.solve`.
    """
    direction = solve_for(problem, gradient, precondition, steps=steps, tolerance=tolerance)
    return first_order(problem, problem.residuals - problem.forward(change), direction)


def first_order(
    problem: Problem, residuals: Float[Tensor, "n k"], direction: Float[Tensor, " p"]
) -> Float[Tensor, " n"]:
    """Return the influences of images by a solved direction.

    Args:
        problem: The problem.
        residuals: [n, k], the images' remaining residuals.
        direction: [p], ``v = H^-1 grad m``.
    """
    return -(residuals * problem.forward(direction)).sum(dim=1) / len(problem.inputs)
