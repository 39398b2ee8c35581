"""Altered copies as queries for images without labels: a model that recognises a picture recognises its altered copy.

Nothing else is known to show the same thing as an image without a label. The copies are altered in the ways that photos
of one thing differ (cut, turned, mirrored, in other light, partly covered), so that a model has to recognise more than
pixels.
"""

from __future__ import annotations

import dataclasses
from functools import cached_property

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from hetero.data.augmentation.config import AugmentConfig
from hetero.data.augmentation.copies import CopiedImages, CopiedSource, copy_names, random_numbers_of_copies
from hetero.data.images import Images, ImageSet
from hetero.data.protocols import COPY_VIEWS
from hetero.files import digest

ALTERED = AugmentConfig(
    rotation=15.0, scale=(0.6, 1.3), shift=0.1, flip=0.5, grey=0.2, brightness=0.3, contrast=0.3, erase=0.3
)
_HELD_BYTES = 1 << 30
_AT_ONCE = 512


def with_altered(images: ImageSet, *, seed: int) -> ImageSet:
    """Return the images, followed by an altered copy of each.

    Args:
        images: The images, uint8 [n, h, w, 3], with labels and views.
        seed: Decides every copy.

    Returns:
        A set of ``2 * n`` images in two views; the copy of ``NAME`` is called ``NAME#1`` and has its class. When the
        set is prepared for another model, each copy shows the same picture altered in the same way.

    Raises:
        InputError: When an image has the name that a copy would get.
    """
    names = copy_names(images.names, 1)
    ground = images.preprocessing.pad_value if images.preprocessing else ALTERED.ground
    config = dataclasses.replace(ALTERED, ground=ground)
    copied = CopiedImages(images.images, config, random_numbers_of_copies(len(images), 1, seed))
    count = len(images)
    return dataclasses.replace(
        images,
        images=HeldImages(copied) if np.prod(copied.shape) <= _HELD_BYTES else copied,
        labels=np.tile(np.asarray(images.labels), 2),
        views=np.repeat(np.arange(2, dtype=np.int64), count),
        view_names=COPY_VIEWS,
        names=(*images.names, *names),
        fingerprint=digest([images.fingerprint, dataclasses.asdict(config), seed]),
        source=CopiedSource(images, copied) if images.source and images.preprocessing else None,
        original=lambda row: images.original(row) if row < count else None,
    )


class HeldImages:
    """Images that are costly to compute: computed when one of them is first read, and held in memory.

    Args:
        images: uint8 [n, h, w, 3].
    """

    def __init__(self, images: Images) -> None:
        self._images = images

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, height, width, 3)``."""
        return self._images.shape

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, indices: NDArray[np.int64] | slice, /) -> UInt8[np.ndarray, "b h w 3"]:
        """Return these rows."""
        return self._held[indices]

    @cached_property
    def _held(self) -> UInt8[np.ndarray, "n h w 3"]:
        starts = range(0, len(self), _AT_ONCE)
        return np.concatenate([self._images[np.arange(start, min(start + _AT_ONCE, len(self)))] for start in starts])
