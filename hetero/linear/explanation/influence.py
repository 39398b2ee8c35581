"""Which images did it: what each did to a query's margin between a right and a wrong gallery image.

The margin ``m(d) = f(x; d)'(right - wrong)`` is linear in the change d: below zero, the wrong image is found first. To
first order, without image i it would change by ``-r_i' J_i v / N`` with ``v = H^-1 grad m`` and ``r_i`` what is left of
the image's residual: one solve and one product score all images. That is near the exact change
(:meth:`hetero.linear.solver.dual.Dual.influences`) only where an image decides little of its own answer, see
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
    """How a query's margin between two gallery vectors follows a change of the weights.

    Args:
        model: The network.
        query: [1, ...], what the network takes of the query.
        right: [k], the gallery's vector that should be found.
        wrong: [k], the one that is found.
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
    """By how much a margin would change without each image, to first order: above zero, the image did harm.

    Args:
        problem: What was solved, with anchors or without.
        change: [p], its solution.
        gradient: [p], of the margin, see :func:`margin_gradient`; of several, their sum.
        precondition: As for :func:`hetero.linear.solver.solve.solve`.
        steps: At most.
        tolerance: As for :func:`hetero.linear.solver.solve.solve`.
    """
    direction = solve_for(problem, gradient, precondition, steps=steps, tolerance=tolerance)
    left = problem.residuals - problem.model.forward_product(problem.inputs, change)
    along = problem.model.forward_product(problem.inputs, direction)
    return -(left * along).sum(dim=1) / len(problem.inputs)
