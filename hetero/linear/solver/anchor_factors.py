"""Kronecker factors of old images in place of the images: what holds a model where the old photos are gone.

The anchors' term ``1/M sum_j |J(x_j) d|^2`` is a quadratic form of the change, ``d'K d``. With K taken block by block,
as Kronecker factors (and by channel, or as its diagonal, for weights that have none), it needs no image any more: the
idea of arXiv 2602.17385. What K leaves out is how weights of different layers act together.
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
    """How the outputs on old images follow a change, on average.

    Attributes:
        blocks: Kronecker factors, by the name of the weight.
        channels: [c, q, q], of each output channel of a grouped convolution.
        diagonals: Of the weights that have neither.
    """

    blocks: dict[str, Factors]
    channels: Weights
    diagonals: Weights

    def product(self, model: Linearised, change: Float[Tensor, " p"]) -> Float[Tensor, " p"]:
        """K d."""
        return model.joined({name: self._block(name, piece) for name, piece in model.parts(change).items()})

    def beside(self, new: Mapping[str, Factors], weight: float) -> dict[str, Factors]:
        """Factors of new images, which weigh 1, and of anchors of this weight, as those of all images would be."""
        return {
            name: Factors(
                (one.inputs + weight * self.blocks[name].inputs) / (1 + weight),
                one.outputs + weight * self.blocks[name].outputs,
            )
            for name, one in new.items()
        }

    def _block(self, name: str, piece: Tensor) -> Tensor:
        if name in self.diagonals:
            return self.diagonals[name] * piece
        if name in self.channels:
            return (self.channels[name] @ piece.flatten(start_dim=1)[..., None]).view_as(piece)
        one = self.blocks[name]
        return (one.outputs @ piece.flatten(start_dim=1) @ one.inputs).view_as(piece)
