"""The dual of the convex problem, in float64: the effect of each image, and the exact solution without it.

With ``G = J J' + mu`` over the outputs of the N images, the solution without anchors is ``d = J'a``, where
``a = G^-1 (t - f)``. The output of a solution for an image that it never saw, and the solution without any set of
images, follow from blocks of the inverse of G: nothing is solved again. The ridge is kept as the sum
``mu = N lambda``, so that every remaining image keeps its weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from hetero.errors import InputError
from hetero.linear.solver.problem import Problem

LARGEST = 4096
"""Most outputs of all images together, which is the width of G."""
LARGEST_BLOCK = 4 << 30
"""Most bytes of the largest weight's columns of J."""


@dataclass(frozen=True)
class Dual:
    """A problem solved in the dual.

    Attributes:
        problem: The problem, without anchors and in float64.
        inverse: [n k, n k], the inverse of G.
        multipliers: [n, k], a.
    """

    problem: Problem
    inverse: Float[Tensor, "nk nk"]
    multipliers: Float[Tensor, "n k"]

    @classmethod
    def of(cls, problem: Problem) -> Dual:
        """Solve a problem in the dual.

        Raises:
            InputError: When it has anchors, is not in float64 (deletion in float32 is only exact to 1e-3), or is too
                large for G.
        """
        _require_suited(problem)
        model, count = problem.model, problem.residuals.numel()
        gram = problem.ridge * len(problem.inputs) * torch.eye(count, dtype=model.dtype)
        for name in model.weights:
            J = model.jacobian(problem.inputs, name).flatten(end_dim=1)
            gram += J @ J.T
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        return cls(problem, inverse, (inverse @ problem.residuals.reshape(-1)).view_as(problem.residuals))

    @property
    def change(self) -> Float[Tensor, " p"]:
        """The solution, d."""
        return self.problem.model.backward_product(self.problem.inputs, self.multipliers)

    def left_out(self) -> Float[Tensor, "n k"]:
        """Return for each image t - f(x; d), where d is the solution for all the others."""
        return torch.stack([torch.linalg.solve(self._block([row]), a) for row, a in enumerate(self.multipliers)])

    def leverages(self) -> Float[Tensor, " n"]:
        """Return the share of its own output that each image decides, mean over the outputs: 0 nothing, 1 all."""
        mu = self.problem.ridge * len(self.problem.inputs)
        return 1 - mu * self.inverse.diagonal().view_as(self.multipliers).mean(dim=1)

    def influences(self, gradient: Float[Tensor, " p"]) -> Float[Tensor, " n"]:
        """Return the exact change of a margin without each image: above zero, the image did harm.

        Args:
            gradient: [p], gradient of the margin, see
                :func:`hetero.linear.explanation.influence.margin_gradient`; for several margins, their sum.
        """
        along = self.problem.model.forward_product(self.problem.inputs, gradient).reshape(-1)
        weights = (self.inverse @ along).view_as(self.multipliers)
        return -(weights * self.left_out()).sum(dim=1)

    def without(self, rows: Sequence[int]) -> Float[Tensor, " p"]:
        """Return the exact solution as if some images had never been there; mu stays.

        Args:
            rows: Rows of the images to leave out, each once.

        Raises:
            InputError: When a row is not one of the problem's, or no image would remain.
        """
        count = len(self.multipliers)
        if not set(rows) <= set(range(count)) or len(set(rows)) != len(rows) or len(rows) == count:
            raise InputError(f"expected some of {count} images, each once, and not all of them; got {list(rows)}")
        if not rows:
            return self.change
        places = self._places(rows)
        shift = torch.linalg.solve(self._block(rows), self.multipliers[list(rows)].reshape(-1))
        # The multipliers of images left out become zero.
        multipliers = self.multipliers.reshape(-1) - self.inverse[:, places] @ shift
        return self.problem.model.backward_product(self.problem.inputs, multipliers.view_as(self.multipliers))

    def _block(self, rows: Sequence[int]) -> Tensor:
        places = self._places(rows)
        return self.inverse[places][:, places]

    def _places(self, rows: Sequence[int]) -> Tensor:
        size = self.multipliers.shape[1]
        return (torch.tensor(list(rows))[:, None] * size + torch.arange(size)).reshape(-1)


def fits(problem: Problem) -> bool:
    """Return True if a problem can be solved in the dual."""
    return not _problems(problem)


def _require_suited(problem: Problem) -> None:
    if problems := _problems(problem):
        raise InputError("the problem cannot be solved by its images:", problems)


def _problems(problem: Problem) -> list[str]:
    count = problem.targets.numel()
    largest = 8 * count * max(value.numel() for value in problem.model.weights.values())
    problems: list[str] = []
    if len(problem.examples) > 1 or problem.held is not None:
        problems.append("anchors: expected none; with anchors, solve by conjugate gradients")
    if problem.model.dtype != torch.float64:
        problems.append(f"dtype: expected float64, got {str(problem.model.dtype).removeprefix('torch.')}")
    if count > LARGEST or largest > LARGEST_BLOCK:
        problems.append(
            f"expected at most {LARGEST} outputs of all images and {LARGEST_BLOCK >> 30} GiB for one weight's "
            f"derivatives, got {count} and {largest / 2**30:.1f} GiB; solve by conjugate gradients"
        )
    return problems
