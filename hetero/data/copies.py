"""Changed copies of training images, for a cloud model to embed once.

On its own training images a cloud model has little left to teach: they lie close to their class prototypes. What it
makes of images changed at random says more, and a student that is given the same changed images learns to agree with
the cloud where neither was trained (consistent teaching, arXiv 2106.05237). The copies are fixed, so their embeddings
can be cached.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int64

from hetero.data.augment import augment
from hetero.data.augment_config import AugmentConfig
from hetero.data.images import ImageSet, no_original
from hetero.errors import InputError
from hetero.files import digest

_CHUNK = 512


def with_copies(images: ImageSet, count: int, config: AugmentConfig, *, seed: int = 0) -> ImageSet:
    """The images, followed by changed copies of them.

    Args:
        images: uint8 [n, h, w, 3] with what is known of each.
        count: Copies of each image; none gives the set back.
        config: How much they are changed.
        seed: Decides every copy.

    Returns:
        A set of ``(count + 1) * n`` images in memory; copies of ``NAME`` are called ``NAME#1``, ``NAME#2`` and so on.

    Raises:
        InputError: When ``count`` is negative, or an image has the name that a copy would get.
    """
    if count < 0:
        raise InputError(f"copies: expected 0 or more, got {count}")
    if not count:
        return images
    names = [f"{name}#{copy}" for copy in range(1, count + 1) for name in images.names]
    if taken := sorted(set(images.names).intersection(names)):
        raise InputError(
            f"{len(taken)} images have the names of changed copies, for instance {taken[0]!r}; rename them"
        )
    parts = [np.asarray(images.images[np.arange(len(images))])]
    for copy in range(1, count + 1):
        generator = torch.Generator().manual_seed(1_000_003 * seed + copy)
        parts += [
            _changed(parts[0][start : start + _CHUNK], config, generator) for start in range(0, len(images), _CHUNK)
        ]
    return dataclasses.replace(
        images,
        images=np.concatenate(parts),
        labels=np.tile(np.asarray(images.labels), count + 1),
        views=np.tile(np.asarray(images.views), count + 1),
        names=(*images.names, *names),
        fingerprint=digest([images.fingerprint, count, dataclasses.asdict(config), seed]),
        original=no_original,
    )


def sources_of(names: Sequence[str]) -> Int64[np.ndarray, " n"]:
    """For each image the row of which it is a changed copy (see :func:`with_copies`), or its own row.

    Args:
        names: Of all images, unique.
    """
    rows = {name: row for row, name in enumerate(names)}

    def source(row: int, name: str) -> int:
        original, mark, copy = name.rpartition("#")
        return rows.get(original, row) if mark and copy.isdecimal() else row

    return np.array([source(row, name) for row, name in enumerate(names)], np.int64)


def _changed(images: np.ndarray, config: AugmentConfig, generator: torch.Generator) -> np.ndarray:
    changed = augment(torch.from_numpy(images), config, generator)
    return (changed * 255.0).round().byte().permute(0, 2, 3, 1).contiguous().numpy()
