"""The convex problem: new images to their targets, old images held where they are, the change kept small."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from hetero.linear.solver.anchor_factors import AnchorFactors
from hetero.linear.solver.linearised import Linearised


@dataclass(frozen=True)
class Problem:
    """The loss to minimise over the change d.

        ``L(d) = 1/N sum_i |t_i - f(x_i; d)|^2 + rho/M sum_j |J(x_j) d|^2 + lambda |d|^2``

    N are new images, M anchors: old images, whose vectors are held where they were. With
    ``H = J'J/N + rho Ja'Ja/M + lambda`` and ``g = J'(t - f(x; 0))/N`` the one solution solves ``H d = g``.

    Attributes:
        model: The network around its weights.
        inputs: [n, ...], the network's inputs for the new images.
        targets: [n, k], targets of their outputs.
        ridge: lambda, above 0.
        anchors: [m, ...], inputs of the anchors; None for none.
        anchor_weight: rho.
        held: Factors that replace anchors whose images no longer exist: ``rho d'K d``; None for none.
    """

    model: Linearised
    inputs: Float[Tensor, "n ..."]
    targets: Float[Tensor, "n k"]
    ridge: float
    anchors: Float[Tensor, "m ..."] | None = None
    anchor_weight: float = 1.0
    held: AnchorFactors | None = None

    @cached_property
    def residuals(self) -> Float[Tensor, "n k"]:
        """Residuals at the origin: t - f(x; 0)."""
        return self.targets.to(self.model.dtype) - self.model.origin(self.inputs)

    @cached_property
    def gradient(self) -> Float[Tensor, " p"]:
        """Half the steepest descent of L at the origin: g."""
        return self.model.backward_product(self.inputs, self.residuals) / len(self.inputs)

    @cached_property
    def at_origin(self) -> float:
        """L(0)."""
        return float(self.residuals.square().sum()) / len(self.inputs)

    @property
    def examples(self) -> tuple[tuple[Tensor, float], ...]:
        """Inputs that contribute to the curvature of L, with the weight of each: new images 1/N, anchors rho/M."""
        new = (self.inputs, 1 / len(self.inputs))
        if self.anchors is None or not self.anchor_weight:
            return (new,)
        return (new, (self.anchors, self.anchor_weight / len(self.anchors)))

    def with_ridge(self, ridge: float) -> Problem:
        """Return the problem with another ridge; values computed already are kept."""
        other = replace(self, ridge=ridge)
        for name in ("residuals", "gradient", "at_origin"):
            if name in self.__dict__:
                other.__dict__[name] = self.__dict__[name]
        return other

    def curvature(self, change: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
        """Return H d."""
        total = self.ridge * change
        for inputs, weight in self.examples:
            total = total + weight * self.model.gauss_newton_product(inputs, change)
        if self.held is not None:
            total = total + self.anchor_weight * self.held.product(self.model, change)
        return total

    def left(self, change: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
        """Return the residual of a change: g - H d.

        It bounds the distance of the change from the one solution, however it was found: by ``|left| / lambda``, and
        the root mean square distance of the new images' outputs by ``|left| / sqrt(lambda)``, since H is at least
        lambda and at least J'J/N.
        """
        return self.gradient - self.curvature(change)

    def objective(self, change: Float[Tensor, " p"]) -> float:
        """Return L(d), summed term by term."""
        residuals = self.targets.to(self.model.dtype) - self.model(self.inputs, change)
        total = float(residuals.square().sum()) / len(self.inputs) + self.ridge * float(change.square().sum())
        for anchors, weight in self.examples[1:]:
            total += weight * float(self.model.forward_product(anchors, change).square().sum())
        if self.held is not None:
            total += self.anchor_weight * float(torch.dot(change, self.held.product(self.model, change)))
        return total
