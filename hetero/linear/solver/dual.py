"""The convex problem from the side of its images, in float64: what each image does, and exactly how to be without it.

With ``G = J J' + mu`` over the outputs of the N images, the solution without anchors is ``d = J'a``, where
``a = G^-1 (t - f)``. What an image is answered by a solution that never saw it, and the solution without any of the
images, follow from blocks of the inverse of G: nothing is solved again. The ridge is held as the sum
``mu = N lambda``, so that the weight of every image that stays is what it was.
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
"""Outputs of all images together: G is as wide."""
LARGEST_BLOCK = 4 << 30
"""Bytes of the largest weight's columns of J."""


@dataclass(frozen=True)
class Dual:
    """A solved problem, by image.

    Attributes:
        problem: Without anchors, in float64.
        inverse: [n k, n k], the inverse of G.
        multipliers: [n, k], a.
    """

    problem: Problem
    inverse: Float[Tensor, "nk nk"]
    multipliers: Float[Tensor, "n k"]

    @classmethod
    def of(cls, problem: Problem) -> Dual:
        """Solve a problem by its images.

        Raises:
            InputError: When it has anchors, is not in float64 (deletion in float32 is right to 1e-3 only), or is too
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
        """For each image, t - f(x; d) where d is the solution of all the others."""
        return torch.stack([torch.linalg.solve(self._block([row]), a) for row, a in enumerate(self.multipliers)])

    def leverages(self) -> Float[Tensor, " n"]:
        """How much of its own answer each image decides, on average over the outputs: 0 nothing, 1 all of it."""
        mu = self.problem.ridge * len(self.problem.inputs)
        return 1 - mu * self.inverse.diagonal().view_as(self.multipliers).mean(dim=1)

    def influences(self, gradient: Float[Tensor, " p"]) -> Float[Tensor, " n"]:
        """By how much a margin would change without each image, exactly: above zero, the image did harm.

        Args:
            gradient: [p], of the margin, see :func:`hetero.linear.explanation.influence.margin_gradient`; of several,
                their sum.
        """
        along = self.problem.model.forward_product(self.problem.inputs, gradient).reshape(-1)
        weights = (self.inverse @ along).view_as(self.multipliers)
        return -(weights * self.left_out()).sum(dim=1)

    def without(self, rows: Sequence[int]) -> Float[Tensor, " p"]:
        """The solution as if some images had never been there, exactly; mu stays.

        Args:
            rows: Of the images to leave out, each once.

        Raises:
            InputError: When a row is none of the problem's, or none would be left.
        """
        count = len(self.multipliers)
        if not set(rows) <= set(range(count)) or len(set(rows)) != len(rows) or len(rows) == count:
            raise InputError(f"expected some of {count} images, each once, and not all of them; got {list(rows)}")
        if not rows:
            return self.change
        places = self._places(rows)
        moved = torch.linalg.solve(self._block(rows), self.multipliers[list(rows)].reshape(-1))
        # Those left out come to nothing.
        left = self.multipliers.reshape(-1) - self.inverse[:, places] @ moved
        return self.problem.model.backward_product(self.problem.inputs, left.view_as(self.multipliers))

    def _block(self, rows: Sequence[int]) -> Tensor:
        places = self._places(rows)
        return self.inverse[places][:, places]

    def _places(self, rows: Sequence[int]) -> Tensor:
        size = self.multipliers.shape[1]
        return (torch.tensor(list(rows))[:, None] * size + torch.arange(size)).reshape(-1)


def fits(problem: Problem) -> bool:
    """True if a problem can be solved by its images."""
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
