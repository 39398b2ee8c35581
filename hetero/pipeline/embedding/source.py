"""The images to embed: all of a folder, a table or shards, or those of a recipe's data as its cloud model sees them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from hetero.data.assemble import without_unreadable
from hetero.data.checking.check import config_for
from hetero.data.config import DataConfig
from hetero.data.contents import contents
from hetero.data.decoding.decoded import decode_listing, decode_unkept
from hetero.data.decoding.lazy import LazyImages
from hetero.data.images import Images, ImageSet
from hetero.data.index.build import index_of, is_indexed
from hetero.data.index.image_index import ImageIndex
from hetero.data.index.read import IndexDecoder, IndexReader
from hetero.data.joined_names import JoinedNames
from hetero.data.prepare import find, prepare
from hetero.data.sources.listing import ListedImage, Listing
from hetero.data.sources.walk import image_files, printable
from hetero.errors import InputError
from hetero.files import cache_directory, canonical_json, digest
from hetero.pipeline.recipe import Recipe
from hetero.preprocessing import Preprocessing
from hetero.recognition.kinds import RECIPE
from hetero.recognition.look import Look

KEPT_BYTES = 4_000_000_000
"""Decoded images up to this size are kept in the cache, or in memory for a single file of embeddings."""
_DECISIVE = ("names", "names_ends", "content", "box")
"""Columns of an index that decide names and vectors."""


@dataclass(frozen=True)
class Source:
    """Images that are ready to be embedded.

    Attributes:
        names: One unique name an image.
        images: uint8 [n, h, w, 3], as the model takes them.
        fingerprint: Digest of the images and their names, in their order.
        notes: Notes for the user.
    """

    names: Sequence[str]
    images: Images
    fingerprint: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Origin:
    """Where images come from, none of which is decoded yet.

    Attributes:
        data: Every image of a folder or a table; data that are read through an index; or the recipe whose data it is.
        notes: Notes for the user.
    """

    data: Listing | DataConfig | Recipe
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The names, as far as they are known."""
        return [entry.name for entry in self.data.entries] if isinstance(self.data, Listing) else []

    def decoded(self, preprocessing: Preprocessing, *, keep: bool) -> Source:
        """Look at every image once, and return them as a model takes them.

        Args:
            preprocessing: The model's.
            keep: True to keep decoded images (or only which are unreadable, where there are many) in the cache.

        Raises:
            InputError: Listing every image that cannot be read, before any is embedded.
        """
        match self.data:
            case Listing():
                return _of_listing(self.data, preprocessing, keep=keep)
            case DataConfig():
                return _of_index(index_of(self.data, cache_directory()), preprocessing)
            case Recipe():
                return _of_recipe(self.data, preprocessing)


def find_images(data: str, *, root: str = "") -> Origin:
    """Find images, without opening one.

    Args:
        data: A folder, whose images at any depth are taken, a table, or shards, on the disk or in a store; an index;
            or a recipe, whose training, validation and test images are taken.
        root: Folder that a table's paths are relative to; empty for its own.

    Raises:
        InputError: When there is no such data.
    """
    path = Path(data)
    if path.is_file() and RECIPE.fits(Look(path)):
        # Late: it reads every table of the recipe.
        from hetero.pipeline.draft import load_recipe

        return Origin(load_recipe(path))
    config = config_for(data, root=root)
    if is_indexed(config):
        return Origin(config)
    if config.kind == "folder":
        files, walk = image_files(path)
        names = (printable("/".join(parts)) for parts in walk.images)
        entries = tuple(ListedImage(file, name, "") for file, name in zip(files, names, strict=True))
        return Origin(Listing(printable(path.name), "images", entries), notes=walk.notes())
    listing = find(config)
    return Origin(listing, notes=listing.notes)


def _of_listing(listing: Listing, preprocessing: Preprocessing, *, keep: bool) -> Source:
    cache = cache_directory()
    files = contents([entry.path for entry in listing.entries], cache, progress=f"reading {listing.name}")
    listing = listing.with_entries(
        replace(entry, content=content) for entry, content in zip(listing.entries, files, strict=True)
    )
    identity = _identity(listing, preprocessing)
    names = [entry.name for entry in listing.entries]
    if not keep:
        return Source(names, decode_unkept(listing, preprocessing, limit=KEPT_BYTES), identity)
    decoded = decode_listing(listing, preprocessing, cache=cache, limit=KEPT_BYTES)
    if decoded.unreadable:
        without_unreadable(listing, decoded.unreadable, skip=False)
    if decoded.grey is not None and (problem := decoded.grey.problem(preprocessing.grey_range)):
        raise InputError(f"{listing.name}: {problem}")
    return Source(names, decoded.images, identity)


def _identity(listing: Listing, preprocessing: Preprocessing) -> str:
    sha256 = hashlib.sha256(preprocessing.decoding.encode())
    for entry in listing.entries:
        sha256.update(canonical_json([entry.name, entry.box, entry.content]).encode())
    return sha256.hexdigest()


def _of_index(index: ImageIndex, preprocessing: Preprocessing) -> Source:
    """Return all images of an index, whatever their splits and labels are."""
    if not len(index):
        raise InputError(f"{index.directory}: expected images, found none")
    rows = np.arange(len(index))
    images = LazyImages(IndexDecoder(IndexReader(index), preprocessing, rows), rows, preprocessing)
    identity = digest([preprocessing.decoding, [index.record.columns.get(name) for name in _DECISIVE]])
    return Source(index.names, images, identity, index.record.notes)


def _of_recipe(recipe: Recipe, preprocessing: Preprocessing) -> Source:
    config = recipe.data
    if is_indexed(config):
        config = replace(config, decoded_limit_gb=0.0)  # each image is read once
    dataset = prepare(config, preprocessing)
    train = dataset.train
    if count := recipe.cloud.copies:
        # Late: copies need torch.
        from hetero.data.augmentation.copies import with_copies

        train = with_copies(train, count, recipe.cloud.copies_augment, seed=config.seed)
    return replace(_of_sets([train, dataset.validation, dataset.test]), notes=dataset.notes)


def _of_sets(sets: Sequence[ImageSet]) -> Source:
    sets = [part for part in sets if len(part)]
    names = JoinedNames([part.names for part in sets])
    return Source(names, _JoinedImages([part.images for part in sets]), digest([part.fingerprint for part in sets]))


class _JoinedImages:
    """Images of several sets, one set after the other."""

    def __init__(self, parts: Sequence[Images]) -> None:
        self._parts = parts
        self._starts = [0, *accumulate(map(len, parts))]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self._parts[0].shape[1:])

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, indices: NDArray[np.int64] | slice, /) -> UInt8[np.ndarray, "b h w 3"]:
        rows = np.arange(*indices.indices(len(self))) if isinstance(indices, slice) else indices
        result = np.empty((len(rows), *self.shape[1:]), np.uint8)
        owners = np.searchsorted(self._starts, rows, side="right") - 1
        for owner in np.unique(owners).tolist():
            mine = owners == owner
            result[mine] = self._parts[owner][rows[mine] - self._starts[owner]]
        return result
