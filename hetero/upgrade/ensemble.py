"""Several models as one teacher: vectors are concatenated, so that cosines are the mean of the members' cosines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hetero.errors import InputError
from hetero.space import EmbeddingSpace
from hetero.training.reference.cloud_reference import CloudReference


def ensemble(members: Sequence[CloudReference]) -> CloudReference:
    """Combine references to one whose logits are the mean of the members' logits (for ELODI, arXiv 2205.06265).

    With unit vectors ``x_j`` and prototypes ``w_j`` of m members, ``[x_1 .. x_m] / sqrt(m)`` and
    ``[w_1 .. w_m] / sqrt(m)`` are unit vectors whose inner product is the mean of the ``x_j . w_j``.

    Args:
        members: References for one data set, each with vectors of the same images and prototypes of the same classes.

    Raises:
        InputError: When there are no members, or their images or classes differ.
    """
    sizes = {(len(member.train), len(member.prototypes)) for member in members}
    if len(sizes) != 1:
        raise InputError(f"an ensemble needs members of the same images and classes, got (images, classes) {sizes}")
    validation = [member.validation for member in members if member.validation is not None]
    joined = "+".join(member.space.space_id for member in members)
    dimension = sum(member.space.dimension for member in members)
    return CloudReference(
        EmbeddingSpace.define(defined_by=joined, name="ensemble", version=str(len(members)), dimension=dimension),
        _joined([member.train[:] for member in members]),
        _joined([member.prototypes for member in members]),
        _joined(validation) if len(validation) == len(members) else None,
    )


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return (np.concatenate(parts, axis=1) / np.sqrt(len(parts))).astype(np.float32)
