"""The problem of an adaptation, stated by its images."""

from __future__ import annotations

import torch

from hetero.data.images import ImageSet
from hetero.linear.config import AdaptConfig
from hetero.linear.gallery import OldGallery
from hetero.linear.parts import Divided
from hetero.linear.solver.anchor_factors import AnchorFactors
from hetero.linear.solver.linearised import Linearised
from hetero.linear.solver.problem import Problem


def stated(
    parts: Divided,
    new: ImageSet,
    old: ImageSet,
    gallery: OldGallery,
    config: AdaptConfig,
    held: AnchorFactors | None = None,
) -> Problem:
    """State the problem in float32, for the largest ridge.

    Args:
        parts: The model.
        new: The new training images.
        old: The old training images, which are the anchors.
        gallery: Provides targets.
        config: Ridges and the anchors' weight; at 0, nothing holds the old domain.
        held: Factors that replace the anchors.

    Raises:
        InputError: When a new image has no target.
    """
    targets = torch.from_numpy(gallery.targets(new))
    weight = config.anchor_weight
    return Problem(
        Linearised(parts.upper),
        parts.inputs(new.images, progress="new images"),
        targets,
        max(config.ridges),
        parts.inputs(old.images, progress="anchors") if weight and held is None else None,
        weight,
        held if weight else None,
    )
