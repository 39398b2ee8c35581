"""Kronecker factors of old images in place of the images: they hold a model where the old photos no longer exist.

The anchors' term ``1/M sum_j |J(x_j) d|^2`` is a quadratic form of the change, ``d'K d``. With K approximated block by
block, as Kronecker factors (and by channel, or as its diagonal, for weights that have none), it needs no more images:
the idea of arXiv 2602.17385. The approximation leaves out the interaction of weights in different layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from hetero.linear.solver.factors import Factors
from hetero.linear.solver.linearised import Linearised, Weights


@dataclass(frozen=True)
class AnchorFactors:
    """The average curvature of the outputs on old images.

    Attributes:
        blocks: Kronecker factors, by the name of the weight.
        channels: [c, q, q], a block for each output channel of a grouped convolution.
        diagonals: Diagonals for the weights that have neither.
        images: Number of the old images.
    """

    blocks: dict[str, Factors]
    channels: Weights
    diagonals: Weights
    images: int

    def product(self, model: Linearised, change: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
        """Return K d."""
        return model.joined({name: self._block(name, piece) for name, piece in model.parts(change).items()})

    def beside(self, new: Mapping[str, Factors], weight: float) -> dict[str, Factors]:
        """Combine factors of new images, which have weight 1, and of anchors with this weight, into those of all."""
        return {
            name: Factors(
                (factors.inputs + weight * self.blocks[name].inputs) / (1 + weight),
                factors.outputs + weight * self.blocks[name].outputs,
            )
            for name, factors in new.items()
        }

    def _block(self, name: str, piece: Tensor) -> Tensor:
        if name in self.diagonals:
            return self.diagonals[name] * piece
        if name in self.channels:
            return (self.channels[name] @ piece.flatten(start_dim=1)[..., None]).view_as(piece)
        factors = self.blocks[name]
        return (factors.outputs @ piece.flatten(start_dim=1) @ factors.inputs).view_as(piece)
