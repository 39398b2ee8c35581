"""The settings of objectives with their own classifier."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from hetero.objectives.margin_softmax import Margin


@dataclass(frozen=True)
class Head:
    """The settings of the margin softmax terms.

    Attributes:
        classes: Number of training classes.
        dimension: Length of an embedding.
        kind: Kind of margin.
        margin: Size of the margin.
        scale: Multiplies the cosines.
        cloud_prototypes: float32 [k, c], the cloud model's; None when there is no cloud model.
        seed: Seed of randomly initialised prototypes. Two models of one data set must not share it: equal prototypes
            would pull them into one space, and a control would look compatible.
        from_cloud: True if the own head starts from the cloud's prototypes, as a student's does; a model with its own
            space starts from random directions.
    """

    classes: int
    dimension: int
    kind: Margin
    margin: float
    scale: float
    cloud_prototypes: Float[Tensor, "k c"] | None = None
    seed: int = 0
    from_cloud: bool = True
