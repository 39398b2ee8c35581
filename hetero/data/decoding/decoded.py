"""Decoding of many images on all cores, cached as one memory-mapped file as far as they fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from hetero.data.decoding.cache import made_once
from hetero.data.decoding.decode import UnreadableImageError, decode_looking, decoding_key
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
from hetero.data.decoding.kept import KeptPixels, kept_pixels
from hetero.data.decoding.lazy import LazyImages, ListedDecoder
from hetero.data.decoding.parallel import in_parallel
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


def decode_listing(listing: Listing, preprocessing: Preprocessing, *, cache: Path, limit: int) -> Decoded:
    """Decode every image of a listing once; a second call reads the cached result of the first.

    Args:
        listing: Images in the order of the rows, with the digests of their files.
        preprocessing: Preparation of the images.
        cache: Folder that keeps decoded sets.
        limit: Most bytes that are kept. A larger set is decoded when it is read, except for the rows that fit.

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
    kept = None if fits else kept_pixels(cache, key, shape, limit)
    with room_explained(cache, shape):
        directory = made_once(
            cache / "decoded" / key[:24],
            lambda folder: kept_whole(folder, shape if fits else None),
            lambda folder: _decode_into(folder, listing, preprocessing, shape if fits else None, kept),
        )
    record = record_in(directory)
    unreadable = {int(position): reason for position, reason in record.unreadable.items()}
    if fits:
        images: Images = array_in(directory)[: record.images]
    else:
        readable = [entry for position, entry in enumerate(entries) if position not in unreadable]
        images = LazyImages(ListedDecoder(readable, preprocessing), np.arange(len(readable)), preprocessing, kept)
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
    unreadable, grey = _decode_all(listing, preprocessing, None if array is None else array.__setitem__)
    if unreadable:
        raise InputError(
            f"{len(unreadable)} of {len(entries)} images cannot be read; repair or remove them:",
            [f"{entries[position].name}: {reason}" for position, reason in unreadable.items()],
        )
    if grey is not None and (problem := grey.problem(preprocessing.grey_range)):
        raise InputError(problem)
    if array is not None:
        return array
    return LazyImages(ListedDecoder(entries, preprocessing), np.arange(len(entries)), preprocessing)


def _decode_into(
    directory: Path,
    listing: Listing,
    preprocessing: Preprocessing,
    shape: tuple[int, ...] | None,
    kept: KeptPixels | None,
) -> None:
    """Write the readable images, without gaps, and the record of them."""
    array = new_array(directory, shape) if shape else None
    put = array.__setitem__ if array is not None else kept and kept.put
    unreadable, grey = _decode_all(listing, preprocessing, put)
    if array is not None:
        array.flush()
    by_position = {str(position): reason for position, reason in unreadable.items()}
    write_record(directory, DecodedRecord(len(listing.entries) - len(unreadable), by_position, grey))


def _decode_all(
    listing: Listing, preprocessing: Preprocessing, put: Callable[[int, UInt8[np.ndarray, "h w 3"]], None] | None
) -> tuple[dict[int, str], DeepGrey | None]:
    """Decode and put the readable images, numbered without gaps; return the reasons of the others, by position."""

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
        if put is not None:
            put(row, pixels)
        row += 1
    return unreadable, grey
