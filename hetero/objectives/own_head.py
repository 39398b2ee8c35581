"""The model's own classifier."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from typing_extensions import Doc

from hetero.objectives.backward_compatible import truncated_or_padded
from hetero.objectives.declaration import objective
from hetero.objectives.head import Head
from hetero.objectives.margin_softmax import MarginSoftmax, random_prototypes

Init = Literal["cloud", "random"]


@objective(
    "own_head",
    "margin softmax of the model's own: ArcFace (arXiv 1801.07698), CosFace (1801.09414)",
    needs={"labels"},
)
def own_head(
    head: Head,
    init: Annotated[Init, Doc("where prototypes start: the cloud's if there is one, or random directions")] = "cloud",
) -> MarginSoftmax:
    """Make the model's own classifier.

    Args:
        head: Size and margin of the classifier.
        init: ``cloud`` starts from the cloud's prototypes if there are any (heterogeneous visual search, arXiv
            2105.06047, section 3.2; truncated or padded to the model's dimension), ``random`` from random directions.
    """
    if init == "cloud" and head.from_cloud and head.cloud_prototypes is not None:
        prototypes = truncated_or_padded(head.cloud_prototypes, head.dimension)
    else:
        prototypes = random_prototypes(head.classes, head.dimension, torch.Generator().manual_seed(head.seed))
    return MarginSoftmax(prototypes, kind=head.kind, margin=head.margin, scale=head.scale)
