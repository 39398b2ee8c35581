"""A test of whether a cloud model embeds an image and its mirror image alike."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, UInt8

from hetero.data.images import Images

PROBED = 64
"""Most images that are mirrored for the test; a seeded draw where there are more."""
KEPT = 0.9
"""Share of them whose mirror image must still be nearest to the image itself."""


def takes_mirrored_alike(
    embed: Callable[[UInt8[np.ndarray, "b h w 3"]], Float32[np.ndarray, "b d"]],
    images: Images,
    vectors: Float32[np.ndarray, "n d"],
) -> bool:
    """Return True if a cloud model still recognises images that are mirrored left and right.

    If it does, a student may see each image both ways with one target, which is worth twice the photos. Mirrored
    letters and arrows mean something else; the model that defines the space has to decide.

    Args:
        embed: The cloud model: unit vectors of uint8 RGB images.
        images: uint8 [n, h, w, 3], as it expects them.
        vectors: float32 [n, d], its unit vectors of these.

    Returns:
        True if nearly all mirror images (:data:`KEPT`) are as near to their own image as to any other. Equal images
        count as one.
    """
    rows = np.sort(np.random.default_rng(0).permutation(len(vectors))[:PROBED])
    if not len(rows):
        return False
    mirrored = embed(np.ascontiguousarray(images[rows][:, :, ::-1]))
    similarities = mirrored @ vectors.T
    own = similarities[np.arange(len(rows)), rows]
    return bool((own >= similarities.max(axis=1) - 1e-6).mean() >= KEPT)
