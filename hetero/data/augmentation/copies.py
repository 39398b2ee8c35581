"""Changed copies of training images, for a cloud model to embed once.

On its own training images a cloud model has little more to teach: they lie close to their class prototypes. Its vectors
of randomly changed images say more, and a student that sees the same changed images learns to agree with the cloud
where neither was trained (consistent teaching, arXiv 2106.05237). The copies are fixed, so their embeddings can be
cached; their pixels are computed from the random numbers whenever they are read. A cloud model and a student with
different image sizes see the same changed pictures: random numbers are drawn once, and applied to the images as
prepared for each of the two.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from numpy.typing import NDArray

from hetero.data.augmentation.augment import augmented, crop_boxes, random_numbers
from hetero.data.augmentation.config import AugmentConfig
from hetero.data.augmentation.copies_cache import kept_copies
from hetero.data.augmentation.frames import Frames, frames_of
from hetero.data.augmentation.shown import croppable, require_same_part
from hetero.data.images import Croppable, Images, ImageSet, no_original
from hetero.errors import InputError
from hetero.files import digest
from hetero.preprocessing import Preprocessing

_CHUNK = 512


def with_copies(
    images: ImageSet,
    count: int,
    config: AugmentConfig,
    *,
    seed: int = 0,
    held_gb: float = 2.0,
    cache: Path | None = None,
) -> ImageSet:
    """Return the images, followed by changed copies of them.

    Args:
        images: The images, uint8 [n, h, w, 3], with labels and views.
        count: Copies of each image; 0 returns the set itself.
        config: Strength of the changes.
        seed: Decides every copy.
        held_gb: Sets up to this size (in 10^9 bytes of pixels) are computed at once and kept; in larger ones each copy
            is computed whenever it is read.
        cache: Folder for a memory-mapped file of the copies, which is written once and shared by processes; None holds
            them in memory.

    Returns:
        A set of ``(count + 1) * n`` images; copies of ``NAME`` are called ``NAME#1``, ``NAME#2`` and so on.

    Raises:
        InputError: When ``count`` is negative, an image has the name that a copy would get, or copies are to be cropped
            from originals that are not there.
    """
    if count < 0:
        raise InputError(f"copies: expected 0 or more, got {count}")
    if not count or not len(images):
        return images
    names = copy_names(images.names, count)
    crops = croppable(images, config) if config.crops else None
    copied = CopiedImages(images.images, config, random_numbers_of_copies(len(images), count, seed), crops=crops)
    fingerprint = digest([images.fingerprint, count, dataclasses.asdict(config), seed])
    pixels: Images = copied
    if np.prod(copied.shape) <= held_gb * 1e9:
        rows = _chunks(len(copied))
        pixels = _held(copied, rows) if cache is None else kept_copies(copied, rows, identity=fingerprint, cache=cache)
    return dataclasses.replace(
        images,
        images=pixels,
        labels=np.tile(np.asarray(images.labels), count + 1),
        views=np.tile(np.asarray(images.views), count + 1),
        names=(*images.names, *names),
        fingerprint=fingerprint,
        source=CopiedSource(images, copied) if images.source and images.preprocessing else None,
        original=no_original,
    )


def copy_names(names: Sequence[str], count: int) -> list[str]:
    """Return the names of so many changed copies of each image.

    Raises:
        InputError: When an image has the name that a copy would get.
    """
    copies = [f"{name}#{copy}" for copy in range(1, count + 1) for name in names]
    if clashes := sorted(set(names).intersection(copies)):
        raise InputError(
            f"{len(clashes)} images have the names of changed copies, for instance {clashes[0]!r}; rename them"
        )
    return copies


def _held(copied: CopiedImages, rows: Sequence[Int64[np.ndarray, " b"]]) -> UInt8[np.ndarray, "m h w 3"]:
    pixels = np.empty(copied.shape, np.uint8)
    for chunk in rows:
        pixels[chunk] = copied[chunk]
    return pixels


def _chunks(count: int) -> list[Int64[np.ndarray, " b"]]:
    """Return all rows in order, in chunks of the size that is computed at once."""
    return [np.arange(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]


class CopiedImages:
    """Images followed by changed copies of them, computed whenever they are read.

    Args:
        images: uint8 [n, h, w, 3].
        config: Strength of the changes.
        random: float32 [copies, r, n], the random numbers of each copy.
        frames: The frames in which changes are described; None for the images' own frame.
        crops: What crops of the images are cut from; None for copies of whole images.
    """

    def __init__(
        self,
        images: Images,
        config: AugmentConfig,
        random: Float32[torch.Tensor, "copies r n"],
        frames: Frames | None = None,
        crops: Croppable | None = None,
    ) -> None:
        self.images, self.config, self.random, self.frames, self.crops = images, config, random, frames, crops

    @property
    def shape(self) -> tuple[int, ...]:
        """``((copies + 1) * n, height, width, 3)``."""
        return ((len(self.random) + 1) * len(self.images), *self.images.shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: NDArray[np.int64] | slice, /) -> UInt8[np.ndarray, "b h w 3"]:
        """Read or compute these rows."""
        rows = np.arange(len(self))[indices]
        copy, source = np.divmod(rows, len(self.images))
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        plain, places = np.flatnonzero(copy == 0), np.flatnonzero(copy)
        images[plain] = self.images[source[plain]]
        images[places] = self._changed(copy[places] - 1, source[places])
        return images

    def _changed(self, copies: Int64[np.ndarray, " b"], rows: Int64[np.ndarray, " b"]) -> UInt8[np.ndarray, "b h w 3"]:
        random = self.random[torch.from_numpy(copies), :, torch.from_numpy(rows)].T
        crops = None if self.crops is None else crop_boxes(random, self.config)
        images = self.images[rows] if crops is None or self.crops is None else self.crops.cropped(rows, crops)
        frame = self.frames and self.frames.at(rows, crops)
        changed = augmented(torch.from_numpy(np.array(images)), self.config, random, frame)
        return (changed * 255.0).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


@dataclass(frozen=True)
class CopiedSource:
    """Prepares images and their copies for another model, with the same changes to each picture."""

    plain: ImageSet
    copied: CopiedImages

    def prepared(self, preprocessing: Preprocessing) -> CopiedImages:
        """Prepare images and copies as another model expects them."""
        originals, config = self.plain.prepared_by(preprocessing), self.copied.config
        frames = frames_of(self.plain, preprocessing)
        require_same_part(config, frames)
        crops = croppable(originals, config) if config.crops else None
        return CopiedImages(originals.images, config, self.copied.random, frames, crops)

    def originals(self, _preprocessing: Preprocessing, /) -> Croppable:
        """Refuse, since a changed copy is no picture that could be cropped."""
        raise InputError(
            "crop_from = 'original': some of the images are changed copies, which have no originals; set crop_from = "
            "'prepared', crop the copies instead (copies_augment), or make none (copies = 0)"
        )

    def sizes(self) -> Int64[np.ndarray, "n 2"]:
        """Return the sizes of the pictures; a copy has its original's."""
        assert self.plain.source is not None
        return np.tile(self.plain.source.sizes(), (len(self.copied.random) + 1, 1))


def random_numbers_of_copies(images: int, count: int, seed: int) -> Float32[torch.Tensor, "copies r n"]:
    """Draw the numbers that decide the changes of each copy of each image."""
    generators = [torch.Generator().manual_seed(1_000_003 * seed + copy) for copy in range(1, count + 1)]
    return torch.stack([random_numbers(images, generator, at_once=_CHUNK) for generator in generators])


def sources_of(names: Sequence[str]) -> Int64[np.ndarray, " n"]:
    """Return for each image the row of which it is a changed copy (see :func:`with_copies`), or its own row.

    Args:
        names: Unique names of all images.
    """
    sources = np.arange(len(names), dtype=np.int64)
    copies = {row: original for row, name in enumerate(names) if (original := _original(name))}
    if copies:
        originals = set(copies.values())
        rows = {name: row for row, name in enumerate(names) if name in originals}
        for row, original in copies.items():
            sources[row] = rows.get(original, row)
    return sources


def _original(name: str) -> str:
    original, mark, copy = name.rpartition("#")
    return original if mark and copy.isdecimal() else ""


def has_copies(names: Sequence[str]) -> bool:
    """Return True if some of the images are changed copies of others (see :func:`with_copies`)."""
    return bool((sources_of(names) != np.arange(len(names))).any())
