"""What objectives with a classifier of their own are told."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from hetero.objectives.margin_softmax import Margin


@dataclass(frozen=True)
class Head:
    """What the margin softmax terms need.

    Attributes:
        classes: Number of training classes.
        dimension: Length of an embedding.
        kind: Which margin.
        margin: Its size.
        scale: Multiplies the cosines.
        cloud_prototypes: float32 [k, c], the cloud model's; None when there is no cloud model.
        seed: Of randomly initialised prototypes. Two models of one data set must not share it: equal prototypes would
            pull them into one space, and a control would look compatible.
        from_cloud: Whether the own head starts from the cloud's prototypes, as a student's does; a model with a space
            of its own starts from random directions.
    """

    classes: int
    dimension: int
    kind: Margin
    margin: float
    scale: float
    cloud_prototypes: Float[Tensor, "k c"] | None = None
    seed: int = 0
    from_cloud: bool = True
