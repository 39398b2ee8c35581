"""Turns a listing with splits into a data set with images and tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from hetero.data.config import DataConfig
from hetero.data.decoding.decode import decoding_key, picture_size
from hetero.data.decoding.decoded import decode_listing
from hetero.data.decoding.lazy import LazyImages, ListedDecoder
from hetero.data.images import Dataset, Images, ImageSet
from hetero.data.protocols import Protocolled, Roles, choose, make_tasks, own_copy_tasks
from hetero.data.sources.listing import ListedImage, Listing
from hetero.data.sources.rows import numbered
from hetero.data.sources.split_names import JUDGED, Split
from hetero.errors import InputError
from hetero.files import digest, sha256_bytes
from hetero.preprocessing import Preprocessing

EVERYWHERE = (".jpg", ".jpeg", ".jfif", ".png")
"""Suffixes of the formats that every platform decodes."""


def listing_fingerprint(listing: Listing, config: DataConfig, preprocessing: Preprocessing) -> str:
    """Return a digest of everything that :func:`assemble` reads, without opening an image."""
    return assembled_fingerprint([listing.fingerprint()], config, preprocessing, listing.labelled)


def assembled_fingerprint(
    content: Sequence[str], config: DataConfig, preprocessing: Preprocessing, labelled: Callable[[Split], bool]
) -> str:
    """Return a digest of images in their splits, and of all that decides what is made of them.

    Args:
        content: Digests of the images and their splits.
        config: Its ``protocol``, ``skip_unreadable`` and ``seed`` are used.
        preprocessing: Preparation of the images.
        labelled: Returns True if the images of a split have labels.
    """
    parts = [*content, config.protocol, config.skip_unreadable, decoding_key(preprocessing)]
    # The seed decides altered copies of images without labels; for others only the splits, which the content has.
    return digest(parts if all(map(labelled, JUDGED)) else [*parts, config.seed])


def assemble(listing: Listing, config: DataConfig, preprocessing: Preprocessing, cache: Path) -> Dataset:
    """Decode the images and build sets and tasks.

    Args:
        listing: The images, ordered train, validation, test.
        config: Its ``protocol``, ``skip_unreadable`` and ``decoded_limit_gb`` are used.
        preprocessing: Preparation of the images.
        cache: Folder that keeps decoded images.

    Raises:
        InputError: Listing every unreadable file, unless they are to be skipped; when grey files need a range, or no
            query can be answered.
    """
    fingerprint = listing_fingerprint(listing, config, preprocessing)
    everything = listing
    decoded = decode_listing(listing, preprocessing, cache=cache, limit=int(config.decoded_limit_gb * 1e9))
    if decoded.grey is not None and (problem := decoded.grey.problem(preprocessing.grey_range)):
        raise InputError(f"{listing.name}: {problem}")
    if decoded.unreadable:
        listing = without_unreadable(listing, decoded.unreadable, skip=config.skip_unreadable)
    source = ListedSource(everything, listing, cache, int(config.decoded_limit_gb * 1e9))
    sets = _sets(listing, decoded.images, fingerprint, preprocessing, source)
    protocols: dict[Split, Protocolled] = {split: split_tasks(listing, split, config) for split in JUDGED}
    return with_tasks(listing.name, sets, protocols, config, fingerprint, listing.notes)


def with_tasks(
    name: str,
    sets: tuple[ImageSet, ImageSet, ImageSet],
    protocols: dict[Split, Protocolled],
    config: DataConfig,
    fingerprint: str,
    notes: tuple[str, ...],
) -> Dataset:
    """Return a data set of three sets of images and the tasks of validation and test, which get altered copies.

    Args:
        name: Name for people.
        sets: Training, validation and test images.
        protocols: Tasks of the latter two.
        config: Its ``seed`` decides altered copies.
        fingerprint: Digest of everything that was read.
        notes: Notes for the user.
    """
    train, *judged = sets
    dropped = [note for split, result in protocols.items() for note in _dropped(split, result)]
    validation, test = (
        _with_copies(images, config.seed) if protocols[split].protocol == "own-copy" else images
        for split, images in zip(JUDGED, judged, strict=True)
    )
    return Dataset(
        name=name,
        train=train,
        validation=validation,
        test=test,
        validation_tasks=protocols["validation"].tasks,
        test_tasks=protocols["test"].tasks,
        fingerprint=fingerprint,
        notes=(*notes, *dropped),
    )


def without_unreadable(listing: Listing, unreadable: dict[int, str], *, skip: bool) -> Listing:
    """Leave unreadable images out, or refuse.

    Args:
        listing: All images.
        unreadable: Reason of each unreadable image, by position in the listing.
        skip: True to continue without them.

    Raises:
        InputError: Listing all of them when they are not to be skipped.
    """
    problems = [f"{listing.entries[position].name}: {reason}" for position, reason in unreadable.items()]
    if not skip:
        raise InputError(
            f"{listing.name}: {len(problems)} of {len(listing.entries)} images cannot be read; "
            "repair or remove them, or leave them out with skip_unreadable = true:",
            problems,
        )
    readable = [entry for position, entry in enumerate(listing.entries) if position not in unreadable]
    result = listing.with_entries(readable, f"{len(problems)} unreadable images skipped of {len(listing.entries)}")
    result.require_classes()
    return result


def split_tasks(listing: Listing, split: Split, config: DataConfig) -> Protocolled:
    """Choose the protocol of a split and build its tasks.

    Raises:
        InputError: When the data lacks what the protocol needs, or no query can be answered.
    """
    entries = listing.of(split)
    return tasks_of(_roles(entries), split, config, labelled=listing.labelled(split), name=listing.name)


def tasks_of(roles: Roles, split: Split, config: DataConfig, *, labelled: bool, name: str) -> Protocolled:
    """Choose the protocol of a split and build its tasks, from labels, views and roles of its images.

    Args:
        roles: Of the split's images.
        split: The split.
        config: Its ``protocol`` is used.
        labelled: True if some image has a label.
        name: Name of the data set in messages.

    Raises:
        InputError: When the data lacks what the protocol needs, or no query can be answered.
    """
    images, protocol, where = len(roles.labels), config.protocol, f"the {split} images of {name}"
    if images and not labelled:
        if split == "test" and protocol != "auto":
            raise InputError(f"{where}: protocol {protocol} needs labels, and they have none; leave protocol at auto")
        return own_copy_tasks(images, where=where)
    if split == "validation" and protocol == "query-gallery" and roles.is_query is None:
        protocol = "auto"  # made up from training images, which have no roles
    return make_tasks(choose(protocol, roles), roles, where=where)


def _with_copies(images: ImageSet, seed: int) -> ImageSet:
    # Imported here because copies need torch, and looking at data does not.
    from hetero.data.augmentation.altered import with_altered

    return with_altered(images, seed=seed)


def _sets(
    listing: Listing, images: Images, fingerprint: str, preprocessing: Preprocessing, source: ListedSource
) -> tuple[ImageSet, ImageSet, ImageSet]:
    parts: tuple[Split, ...] = ("train", "validation", "test")
    counts = [len(listing.of(split)) for split in parts]
    bounds = np.cumsum([0, *counts]).tolist()
    sets = [
        replace(
            _image_set(listing.entries[start:stop], _part(images, start, stop), digest([fingerprint, number])),
            preprocessing=preprocessing,
            source=source.part(start, stop),
        )
        for number, (start, stop) in enumerate(pairwise(bounds))
    ]
    return sets[0], sets[1], sets[2]


@dataclass(frozen=True)
class ListedSource:
    """A source of images from the files of a listing.

    Attributes:
        everything: The whole listing, as it is decoded.
        readable: The listing without files that cannot be read.
        cache: Folder that keeps decoded images.
        limit: Largest decoded set in bytes that is kept.
        start: The first row of this part among the readable images.
        stop: The row after its last; None for all.
    """

    everything: Listing
    readable: Listing
    cache: Path
    limit: int
    start: int = 0
    stop: int | None = None

    def part(self, start: int, stop: int) -> ListedSource:
        """Return the source of these rows only."""
        return replace(self, start=start, stop=stop)

    def prepared(self, preprocessing: Preprocessing) -> Images:
        """Decode the images for another model; the result is cached once for all parts, like the first decoding."""
        decoded = decode_listing(self.everything, preprocessing, cache=self.cache, limit=self.limit)
        return _part(decoded.images, self.start, len(decoded.images) if self.stop is None else self.stop)

    def originals(self, preprocessing: Preprocessing) -> LazyImages:
        """Return the images to be cropped, decoded when they are read."""
        entries = self.readable.entries[self.start : self.stop]
        return LazyImages(ListedDecoder(entries, preprocessing), np.arange(len(entries)), preprocessing)

    def sizes(self) -> Int64[np.ndarray, "n 2"]:
        """Read the sizes from the files' headers."""
        entries = self.readable.entries[self.start : self.stop]
        sizes = [picture_size(entry.path, entry.box) for entry in entries]
        return np.array(sizes, np.int64).reshape(-1, 2)


def _part(images: Images, start: int, stop: int) -> Images:
    return images.select(slice(start, stop)) if isinstance(images, LazyImages) else images[start:stop]


def _image_set(entries: Sequence[ListedImage], images: Images, fingerprint: str) -> ImageSet:
    classes, labels = _numbered(entries)
    view_names, views = numbered(entry.view for entry in entries)
    names = tuple(entry.name for entry in entries)

    def original(row: int) -> bytes | None:
        entry = entries[row]
        if entry.box is not None or entry.path.suffix.lower() not in EVERYWHERE:
            return None
        data = entry.path.read_bytes()
        if sha256_bytes(data) != entry.content:
            raise InputError(f"{entry.path} was changed since the data was listed; start again")
        return data

    return ImageSet(images, labels, classes, views, view_names, names, fingerprint, original=original)


def _roles(entries: Sequence[ListedImage]) -> Roles:
    _, labels = numbered(entry.label for entry in entries)
    view_names, views = numbered(entry.view for entry in entries)
    has_roles = all(entry.is_query is not None and entry.is_gallery is not None for entry in entries)
    query = np.array([bool(entry.is_query) for entry in entries]) if has_roles else None
    gallery = np.array([bool(entry.is_gallery) for entry in entries]) if has_roles else None
    return Roles(labels, views, view_names, query, gallery)


def _numbered(entries: Sequence[ListedImage]) -> tuple[tuple[str, ...], Int64[np.ndarray, " n"]]:
    """Number the classes, and return the class of each image; images of equal content without labels share one."""
    classes, _ = numbered(entry.label for entry in entries if entry.label)
    index: dict[object, int] = {name: position for position, name in enumerate(classes)}
    keys = [entry.label or (entry.content or entry.name, entry.box) for entry in entries]
    return classes, np.array([index.setdefault(key, len(index)) for key in keys], np.int64)


def _dropped(split: str, result: Protocolled) -> list[str]:
    total = {task.name: len(task.query) for task in result.tasks}
    return [
        f"{split}, {name}: {count} of {count + total.get(name, 0)} queries dropped, no gallery image shares their class"
        for name, count in result.dropped.items()
    ]
