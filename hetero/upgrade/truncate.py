"""How vectors of a new space are read in an earlier one: the map T of backward-compatible training."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from hetero.errors import InputError, SpaceMismatchError
from hetero.lengths import lengths, scaled
from hetero.space import EmbeddingSpace


def truncated(vectors: Float32[NDArray[np.float32], "n d"], dimension: int) -> Float32[NDArray[np.float32], "n c"]:
    """T of arXiv 2003.11942: the first coordinates, zeros for those that are not there, scaled to length one.

    Args:
        vectors: float32 [n, d], unit vectors.
        dimension: How many coordinates the result has.

    Raises:
        InputError: When the coordinates kept of a vector are all zero.
    """
    if vectors.shape[1] == dimension:
        return vectors
    kept = np.zeros((len(vectors), dimension), np.float32)
    width = min(dimension, vectors.shape[1])
    kept[:, :width] = vectors[:, :width]
    length = lengths(kept)
    if empty := int((length == 0).sum()):
        raise InputError(f"{empty} of {len(vectors)} vectors have no direction left in their first {width} coordinates")
    return scaled(kept, length)


def as_earlier(
    vectors: Float32[NDArray[np.float32], "n d"], space: EmbeddingSpace, earlier: EmbeddingSpace
) -> Float32[NDArray[np.float32], "n c"]:
    """Vectors of a space as an earlier space reads them: the one door between two spaces.

    Args:
        vectors: float32 [n, d], of ``space``.
        space: Their space; its contract names the earlier ones that it was measured to be compatible with.
        earlier: The space of the gallery that they go to.

    Returns:
        The vectors themselves when the spaces are one; otherwise :func:`truncated` to the earlier dimension.

    Raises:
        SpaceMismatchError: When ``space`` was not measured to be compatible with ``earlier``.
    """
    if space.space_id == earlier.space_id:
        return vectors
    if any(entry.space_id == earlier.space_id for entry in space.compatible_with):
        return truncated(vectors, earlier.dimension)
    known = ", ".join(entry.name or entry.space_id for entry in space.compatible_with) or "none"
    raise SpaceMismatchError(
        f"{space.name} {space.version} ({space.space_id}) was not measured to be compatible with "
        f"{earlier.name} {earlier.version} ({earlier.space_id}); measured compatible: {known}. "
        "Train it with `hetero upgrade`, map the gallery with a forward transform, or re-embed"
    )
