"""Objectives by the names that recipes use."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from hetero.errors import InputError
from hetero.objectives.contrastive import CloudContrastive, SupervisedContrastive
from hetero.objectives.margin_softmax import Margin, MarginSoftmax, random_prototypes
from hetero.objectives.names import NAMES
from hetero.objectives.regression import CloudRegression


@dataclass(frozen=True)
class Head:
    """What the margin softmax terms need.

    Attributes:
        classes: Number of training classes.
        dimension: Length of an embedding.
        kind: Which margin.
        margin: Its size.
        scale: Multiplies the cosines.
        cloud_prototypes: float32 [k, d], the cloud model's; None when there is no cloud model.
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
    cloud_prototypes: Float[Tensor, "k d"] | None = None
    seed: int = 0
    from_cloud: bool = True


def build_objective(name: str, *, head: Head, temperature: float) -> nn.Module:
    """Make an objective.

    ``own_head`` starts from the cloud's prototypes when there are any (methods of heterogeneous visual search,
    arXiv 2105.06047, section 3.2), otherwise from random directions.

    Raises:
        InputError: When the name is unknown, or the term needs a cloud model and there is none.
    """
    if name == "own_head":
        prototypes = head.cloud_prototypes if head.from_cloud else None
        if prototypes is None:
            prototypes = random_prototypes(head.classes, head.dimension, torch.Generator().manual_seed(head.seed))
        return MarginSoftmax(prototypes, kind=head.kind, margin=head.margin, scale=head.scale)
    if name == "cloud_head":
        if head.cloud_prototypes is None:
            raise InputError("the objective cloud_head needs a cloud model, and none was given")
        return MarginSoftmax(head.cloud_prototypes, kind=head.kind, margin=head.margin, scale=head.scale, frozen=True)
    if name == "supervised_contrastive":
        return SupervisedContrastive(temperature)
    if name == "cloud_contrastive":
        return CloudContrastive(temperature)
    if name == "cloud_regression":
        return CloudRegression()
    raise InputError(f"unknown objective {name!r}: expected one of {', '.join(NAMES)}")
