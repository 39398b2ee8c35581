"""The principal directions that a student's last layer starts with."""

from __future__ import annotations

from hetero.data.embeddings.mapped import Vectors
from hetero.geometry.directions import suggested_directions
from hetero.geometry.principal import PrincipalDirections, spread
from hetero.training.config import StudentConfig


def principal_start(config: StudentConfig, vectors: Vectors, *, macs: int | None = None) -> PrincipalDirections | None:
    """Return the directions that a student is configured with; None if it learns all dimensions.

    Args:
        config: Sets their number, or ``auto``.
        vectors: The cloud's unit vectors of all training images and their changed copies.
        macs: Multiply-accumulates that an image may take; None for no limit.

    Raises:
        InputError: When the vectors have fewer directions.
    """
    if not config.principal:
        return None
    around = spread(vectors)
    count = suggested_directions(around, macs=macs) if config.principal == "auto" else config.principal
    return around.leading(count) if count else None
