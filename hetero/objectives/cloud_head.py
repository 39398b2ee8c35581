"""The cloud's classifier, frozen."""

from __future__ import annotations

from typing import Annotated, Literal

from typing_extensions import Doc

from hetero.objectives.backward_compatible import InfluenceLoss
from hetero.objectives.declaration import objective
from hetero.objectives.head import Head

Variant = Literal["head", "arcface", "cosface", "none", "unnormalised"]


@objective(
    "cloud_head",
    "influence loss: the cloud's frozen classifier judges the vectors (BCT, arXiv 2003.11942)",
    needs={"cloud", "labels"},
)
def cloud_head(
    head: Head, variant: Annotated[Variant, Doc("margin: the own head's, or another")] = "head"
) -> InfluenceLoss:
    """Make the cloud's classifier.

    Args:
        head: The margin, and the cloud's prototypes.
        variant: The margin; ``head`` uses that of the own head.
    """
    assert head.cloud_prototypes is not None
    kind = head.kind if variant == "head" else variant
    return InfluenceLoss(head.cloud_prototypes, variant=kind, margin=head.margin, scale=head.scale)
