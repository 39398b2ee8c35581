"""Whether a cloud model takes an image and its mirror image for the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, UInt8

from hetero.data.images import Images

PROBED = 64
"""Images that are mirrored to find out; a seeded draw of more."""
KEPT = 0.9
"""Share of them whose mirror image must still be nearest to the image itself."""


def takes_mirrored_alike(
    embed: Callable[[UInt8[np.ndarray, "b h w 3"]], Float32[np.ndarray, "b d"]],
    images: Images,
    vectors: Float32[np.ndarray, "n d"],
) -> bool:
    """Ask a cloud model whether mirroring an image left and right changes what it is.

    If it does not, a student may see each image both ways under one target, which is worth twice the photos. Letters
    and arrows are another thing mirrored; the model that defines the space is the one to know.

    Args:
        embed: The cloud model: unit vectors of uint8 RGB images.
        images: uint8 [n, h, w, 3], as it takes them.
        vectors: float32 [n, d], its unit vectors of these.

    Returns:
        True if nearly all mirror images (:data:`KEPT`) are as near to their own image as to any other. Equal images
        count as one.
    """
    rows = np.sort(np.random.default_rng(0).permutation(len(vectors))[:PROBED])
    if not len(rows):
        return False
    mirrored = embed(np.ascontiguousarray(images[rows][:, :, ::-1]))
    similar = mirrored @ vectors.T
    own = similar[np.arange(len(rows)), rows]
    return bool((own >= similar.max(axis=1) - 1e-6).mean() >= KEPT)
