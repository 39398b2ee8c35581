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

from hetero.data.augmentation.augment import Frame, augmented, random_numbers
from hetero.data.augmentation.config import AugmentConfig
from hetero.data.augmentation.copies_cache import kept_copies
from hetero.data.decoding.frame import reach, same_frame
from hetero.data.images import Images, ImageSet, no_original
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
        InputError: When ``count`` is negative, or an image has the name that a copy would get.
    """
    if count < 0:
        raise InputError(f"copies: expected 0 or more, got {count}")
    if not count or not len(images):
        return images
    names = copy_names(images.names, count)
    copied = CopiedImages(images.images, config, random_numbers_of_copies(len(images), count, seed))
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
        frame: The frame in which changes are described; None for the images' own frame.
    """

    def __init__(
        self,
        images: Images,
        config: AugmentConfig,
        random: Float32[torch.Tensor, "copies r n"],
        frame: Frame | None = None,
    ) -> None:
        self.images, self.config, self.random, self.frame = images, config, random, frame

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
        images = np.array(self.images[source])
        if (places := np.flatnonzero(copy)).size:
            images[places] = self._changed(images[places], copy[places] - 1, source[places])
        return images

    def _changed(
        self, images: UInt8[np.ndarray, "b h w 3"], copies: Int64[np.ndarray, " b"], rows: Int64[np.ndarray, " b"]
    ) -> UInt8[np.ndarray, "b h w 3"]:
        indices = torch.from_numpy(rows)
        frame = self.frame and Frame(self.frame.aspect, self.frame.ratio[indices])
        changed = augmented(
            torch.from_numpy(images), self.config, self.random[torch.from_numpy(copies), :, indices].T, frame
        )
        return (changed * 255.0).round().byte().permute(0, 2, 3, 1).contiguous().numpy()


@dataclass(frozen=True)
class CopiedSource:
    """Prepares images and their copies for another model, with the same changes to each picture."""

    originals: ImageSet
    copied: CopiedImages

    def prepared(self, preprocessing: Preprocessing) -> CopiedImages:
        """Prepare images and copies as another model expects them."""
        originals = self.originals.prepared_by(preprocessing)
        return CopiedImages(
            originals.images, self.copied.config, self.copied.random, frame_of(self.originals, preprocessing)
        )

    def sizes(self) -> Int64[np.ndarray, "n 2"]:
        """Return the sizes of the pictures; a copy has its original's."""
        assert self.originals.source is not None
        return np.tile(self.originals.source.sizes(), (len(self.copied.random) + 1, 1))


def frame_of(images: ImageSet, other: Preprocessing) -> Frame | None:
    """Return the frame that describes changes of these images in another preparation of them.

    Args:
        images: Images whose changes are described in their own frame; their preprocessing and source are known.
        other: Preprocessing of the same images for another model.

    Returns:
        A frame with ratios float32 [n, 2]; None when every picture lies at the same place in both inputs.
    """
    own, source = images.preprocessing, images.source
    assert own is not None and source is not None
    if same_frame(own, other):
        return None
    sizes = source.sizes()
    return Frame(own.width / own.height, torch.from_numpy(reach(sizes, own) / reach(sizes, other)))


def random_numbers_of_copies(images: int, count: int, seed: int) -> Float32[torch.Tensor, "copies r n"]:
    """Draw the numbers that decide the changes of each copy of each image."""
    generators = [torch.Generator().manual_seed(1_000_003 * seed + copy) for copy in range(1, count + 1)]
    sizes = [min(_CHUNK, images - start) for start in range(0, images, _CHUNK)]
    return torch.stack(
        [torch.cat([random_numbers(size, generator) for size in sizes], dim=1) for generator in generators]
    )


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
