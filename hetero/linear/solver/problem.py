"""The convex problem: new images to their targets, old images held where they are, the change kept small."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from hetero.linear.solver.anchor_factors import AnchorFactors
from hetero.linear.solver.linearised import Linearised
from hetero.linear.solver.products import Products


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
        return self.backward(self.residuals) / len(self.inputs)

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

    @cached_property
    def products(self) -> Products:
        """Products with the Jacobian of all :attr:`examples`."""
        return Products(self.model, torch.cat([inputs for inputs, _ in self.examples]))

    @cached_property
    def shares(self) -> Float[Tensor, "n 1"]:
        """Weight of each row of the products."""
        dtype = self.model.dtype
        return torch.cat([torch.full((len(inputs), 1), weight, dtype=dtype) for inputs, weight in self.examples])

    @property
    def anchored(self) -> int:
        """Number of anchors, by themselves or by their factors."""
        if not self.anchor_weight:
            return 0
        return self.held.images if self.held is not None else 0 if self.anchors is None else len(self.anchors)

    def with_ridge(self, ridge: float) -> Problem:
        """Return the problem with another ridge; what does not depend on it is computed once for both."""
        other = replace(self, ridge=ridge)
        for name in ("residuals", "gradient", "at_origin", "products", "shares"):
            other.__dict__[name] = getattr(self, name)
        return other

    def forward(self, change: Float[Tensor, " p"]) -> Float[Tensor, "n k"]:
        """Return J d of the new images."""
        return self.products.forward(change)[: len(self.inputs)]

    def backward(self, cotangents: Float[Tensor, "n k"]) -> Float[Tensor, " p"]:
        """Return J' u, summed over the new images."""
        all_rows = torch.zeros(len(self.shares), cotangents.shape[1], dtype=self.model.dtype)
        all_rows[: len(cotangents)] = cotangents
        return self.products.backward(all_rows)

    def curvature(self, change: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
        """Return H d."""
        total = self.ridge * change + self.products.backward(self.shares * self.products.forward(change))
        if self.held is not None:
            total = total + self.anchor_weight * self.held.product(self.model, change)
        return total

    def left(self, change: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
        """Return the residual of a change: g - H d.

        It tells how far the change is from the one solution at most, however it was found: see :meth:`apart`.
        """
        return self.gradient - self.curvature(change)

    def apart(self, left: float) -> tuple[float, float]:
        """Bound the distance of a change from the one solution.

        The change is off by e, where ``H e = left``. H is at least lambda, so ``|e|`` is at most ``|left| / lambda``. H
        is at least ``J'J/N + lambda``, so ``e'J'J e / N`` is at most ``e'(H - lambda) e``: a sum over H's eigenvalues h
        of a square of ``left``'s times ``(h - lambda) / h^2``, which is at most ``1 / (4 lambda)``, at h = 2 lambda.

        Args:
            left: Length of :meth:`left`.

        Returns:
            The largest distance of the change, and of the new images' outputs in the linear model (root mean square).
        """
        return left / self.ridge, left / (2 * self.ridge**0.5)

    def objective(self, change: Float[Tensor, " p"]) -> float:
        """Return L(d), summed term by term."""
        residuals = self.targets.to(self.model.dtype) - self.model(self.inputs, change)
        total = float(residuals.square().sum()) / len(self.inputs) + self.ridge * float(change.square().sum())
        for anchors, weight in self.examples[1:]:
            total += weight * float(self.model.forward_product(anchors, change).square().sum())
        if self.held is not None:
            total += self.anchor_weight * float(torch.dot(change, self.held.product(self.model, change)))
        return total
