"""Decoding of many images on all cores, cached as one memory-mapped file when they fit."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from hetero.data.decoding.cache import made_once
from hetero.data.decoding.decode import UnreadableImageError, decode, decode_looking, decoding_key
from hetero.data.decoding.decoded_files import (
    DecodedRecord,
    array_in,
    kept_whole,
    new_array,
    record_in,
    room_explained,
    write_record,
)
from hetero.data.decoding.grey import DeepGrey
from hetero.data.decoding.parallel import in_parallel, workers
from hetero.data.images import Images
from hetero.data.sources.listing import ListedImage, Listing
from hetero.errors import InputError
from hetero.files import digest
from hetero.preprocessing import Preprocessing

_FORMAT = "hetero/decoded/3"


@dataclass(frozen=True)
class Decoded:
    """The readable images of a listing.

    Attributes:
        images: One row for each image that could be read, in the listing's order.
        unreadable: Reason of each of the others, by position in the listing.
        grey: Values of the grey files of more than 8 bits; None without such files.
    """

    images: Images
    unreadable: dict[int, str]
    grey: DeepGrey | None


class LazyImages:
    """Images that are decoded whenever they are read, on all cores.

    Args:
        entries: One entry an image. A file that has changed since it was listed is refused.
        preprocessing: Preparation of the images.
    """

    def __init__(self, entries: Sequence[ListedImage], preprocessing: Preprocessing) -> None:
        self._entries = tuple(entries)
        self._preprocessing = preprocessing
        self._pool = ThreadPoolExecutor(workers())

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, height, width, 3)``."""
        return (len(self._entries), self._preprocessing.height, self._preprocessing.width, 3)

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, indices: NDArray[np.int64] | slice, /) -> UInt8[np.ndarray, "b h w 3"]:
        """Decode these rows.

        Raises:
            UnreadableImageError: When a file has become unreadable since it was checked.
            InputError: When a file was changed since it was listed.
        """
        rows = range(*indices.indices(len(self))) if isinstance(indices, slice) else [int(row) for row in indices]
        entries = [self._entries[row] for row in rows]
        result = np.empty((len(entries), *self.shape[1:]), np.uint8)
        for position, image in enumerate(self._pool.map(self._decode, entries)):
            result[position] = image
        return result

    def part(self, start: int, stop: int) -> LazyImages:
        """Return the rows from ``start`` to before ``stop``."""
        return LazyImages(self._entries[start:stop], self._preprocessing)

    def _decode(self, entry: ListedImage) -> UInt8[np.ndarray, "h w 3"]:
        return decode(entry.path, self._preprocessing, entry.box, content=entry.content)


def decode_listing(listing: Listing, preprocessing: Preprocessing, *, cache: Path, limit: int) -> Decoded:
    """Decode every image of a listing once; a second call reads the cached result of the first.

    Args:
        listing: Images in the order of the rows, with the digests of their files.
        preprocessing: Preparation of the images.
        cache: Folder that keeps decoded sets.
        limit: Largest decoded set in bytes that is kept; for a larger one only the list of unreadable files is kept.

    Returns:
        The images that can be read, and the reasons of the others.

    Raises:
        InputError: When a file was changed since it was listed, or the cache has no room.
    """
    entries = listing.entries
    shape = (len(entries), preprocessing.height, preprocessing.width, 3)
    fits = int(np.prod(shape)) <= limit
    pixels = [[entry.content, entry.box] for entry in entries]
    key = digest([_FORMAT, fits, pixels, decoding_key(preprocessing)])
    with room_explained(cache, shape):
        directory = made_once(
            cache / "decoded" / key[:24],
            lambda folder: kept_whole(folder, shape if fits else None),
            lambda folder: _decode_into(folder, listing, preprocessing, shape if fits else None),
        )
    record = record_in(directory)
    unreadable = {int(position): reason for position, reason in record.unreadable.items()}
    if fits:
        images: Images = array_in(directory)[: record.images]
    else:
        readable = [entry for position, entry in enumerate(entries) if position not in unreadable]
        images = LazyImages(readable, preprocessing)
    return Decoded(images, unreadable, record.grey)


def decode_files(files: Sequence[Path], preprocessing: Preprocessing, *, limit: int = 4_000_000_000) -> Images:
    """Decode files that belong to no data set; nothing is stored on disk.

    Args:
        files: Image files.
        preprocessing: Preparation of the images.
        limit: Largest decoded set in bytes that is held in memory; a larger one is checked, then decoded when read.

    Raises:
        InputError: Listing every unreadable file; or when grey files need a range (see
            :mod:`hetero.data.decoding.grey`).
    """
    entries = tuple(ListedImage(path, str(path), "") for path in files)
    return decode_unkept(Listing("images", "files", entries), preprocessing, limit=limit)


def decode_unkept(listing: Listing, preprocessing: Preprocessing, *, limit: int) -> Images:
    """Decode the images of a listing as :func:`decode_files` does; files with a known digest are refused if changed."""
    entries = listing.entries
    shape = (len(entries), preprocessing.height, preprocessing.width, 3)
    array = np.empty(shape, np.uint8) if np.prod(shape) <= limit else None
    unreadable, grey = _decode_all(listing, preprocessing, array)
    if unreadable:
        raise InputError(
            f"{len(unreadable)} of {len(entries)} images cannot be read; repair or remove them:",
            [f"{entries[position].name}: {reason}" for position, reason in unreadable.items()],
        )
    if grey is not None and (problem := grey.problem(preprocessing.grey_range)):
        raise InputError(problem)
    return LazyImages(entries, preprocessing) if array is None else array


def _decode_into(
    directory: Path, listing: Listing, preprocessing: Preprocessing, shape: tuple[int, ...] | None
) -> None:
    """Write the readable images, without gaps, and the record of them."""
    array = new_array(directory, shape) if shape else None
    unreadable, grey = _decode_all(listing, preprocessing, array)
    if array is not None:
        array.flush()
    by_position = {str(position): reason for position, reason in unreadable.items()}
    write_record(directory, DecodedRecord(len(listing.entries) - len(unreadable), by_position, grey))


def _decode_all(
    listing: Listing, preprocessing: Preprocessing, array: UInt8[np.ndarray, "n h w 3"] | None
) -> tuple[dict[int, str], DeepGrey | None]:
    """Decode into the array's first rows, without gaps; return the reasons of unreadable images, by position."""

    def attempt(entry: ListedImage) -> tuple[UInt8[np.ndarray, "h w 3"], DeepGrey | None] | str:
        try:
            return decode_looking(entry.path, preprocessing, entry.box, content=entry.content)
        except UnreadableImageError as error:
            return error.reason

    unreadable: dict[int, str] = {}
    grey: DeepGrey | None = None
    row = 0
    for position, result in enumerate(in_parallel(attempt, listing.entries, progress=f"decoding {listing.name}")):
        if isinstance(result, str):
            unreadable[position] = result
            continue
        pixels, deep = result
        grey = deep.joined(grey) if deep else grey
        if array is not None:
            array[row] = pixels
        row += 1
    return unreadable, grey
