"""How a model is adapted, as data."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import MinLen

from hetero.constraints import Count, NotNegative, Positive, Seed, Share
from hetero.schema import settings

Part = Literal["neck", "last-stage", "all"]


@settings
class AdaptConfig:
    """How a model is adapted, and what it must keep.

    Attributes:
        part: What of it may change, see :func:`hetero.linear.parts.divided`.
        anchor_weight: How much the old images' vectors count that are to stay where they are, beside the new images'
            that are to move; 0 lets them go.
        ridges: How much a change of the weights costs; validation decides between them.
        steps: Most steps of conjugate gradients, which serve all ridges.
        most_flips: The largest share of old queries right before and wrong afterwards that the old space allows; the
            whole interval must be within it.
        most_lost: How much less ``cmc@1`` of new queries the written model may have than the linear one.
        seed: Of the preconditioner's directions and of the intervals' resampling.
    """

    part: Part = "last-stage"
    anchor_weight: NotNegative = 1.0
    ridges: Annotated[tuple[Positive, ...], MinLen(1)] = (0.1, 0.01, 0.001)
    steps: Count = 20
    most_flips: Share = 0.1
    most_lost: NotNegative = 0.01
    seed: Seed = 0
