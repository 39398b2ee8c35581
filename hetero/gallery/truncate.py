"""The map T of backward-compatible training, from vectors of a new space to an earlier one."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

from hetero.errors import InputError, SpaceMismatchError
from hetero.lengths import lengths, scaled
from hetero.space import EmbeddingSpace


def truncated(vectors: Float32[np.ndarray, "n d"], dimension: int) -> Float32[np.ndarray, "n c"]:
    """Apply T of arXiv 2003.11942: the first coordinates, zeros for missing ones, scaled to length one.

    Args:
        vectors: float32 [n, d], unit vectors.
        dimension: Number of coordinates of the result.

    Raises:
        InputError: When the first coordinates of a vector are all zero.
    """
    if vectors.shape[1] == dimension:
        return vectors
    first = np.zeros((len(vectors), dimension), np.float32)
    width = min(dimension, vectors.shape[1])
    first[:, :width] = vectors[:, :width]
    length = lengths(first)
    if empty := int((length == 0).sum()):
        raise InputError(f"{empty} of {len(vectors)} vectors have no direction left in their first {width} coordinates")
    return scaled(first, length)


def as_earlier(
    vectors: Float32[np.ndarray, "n d"], space: EmbeddingSpace, earlier: EmbeddingSpace
) -> Float32[np.ndarray, "n c"]:
    """Map vectors of a space to an earlier space, the only way from one space to another.

    Args:
        vectors: float32 [n, d], vectors of ``space``.
        space: Their space; its contract names the earlier ones that it was measured to be compatible with.
        earlier: The space of the gallery that they are to search.

    Returns:
        The vectors themselves when the spaces are the same; otherwise :func:`truncated` to the earlier dimension.

    Raises:
        SpaceMismatchError: When ``space`` was not measured to be compatible with ``earlier``.
    """
    if space.space_id == earlier.space_id:
        return vectors
    if space.may_search(earlier):
        return truncated(vectors, earlier.dimension)
    names = ", ".join(entry.name or entry.space_id for entry in space.compatible_with) or "none"
    raise SpaceMismatchError(
        f"{space.name} {space.version} ({space.space_id}) was not measured to be compatible with "
        f"{earlier.name} {earlier.version} ({earlier.space_id}); measured compatible: {names}. "
        "Train it with `hetero upgrade`, map the gallery with a forward transform, or re-embed"
    )
