"""The principal directions that a student's last layer starts with."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from hetero.geometry.directions import suggested_directions
from hetero.geometry.principal import PrincipalDirections, principal_directions
from hetero.geometry.statistics import space_statistics
from hetero.training.config import StudentConfig


def principal_start(
    config: StudentConfig, vectors: Float32[np.ndarray, "n d"], *, macs: int | None = None
) -> PrincipalDirections | None:
    """The directions that a student asks for; None for all dimensions, learnt.

    Args:
        config: Says how many, or ``auto``.
        vectors: The cloud's, of all training images and their changed copies.
        macs: Multiply-accumulates that an image may take; None for no limit.

    Raises:
        InputError: When the vectors have fewer.
    """
    count = config.principal
    if count == "auto":
        count = suggested_directions(space_statistics(vectors), macs=macs)
    return principal_directions(vectors, count) if count else None
