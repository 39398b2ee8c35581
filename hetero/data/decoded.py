"""Many images at once: decoded on all cores, kept as one memory-mapped file when they fit."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from tqdm import tqdm

from hetero.data.decode import UnreadableImageError, decode, decoding_key
from hetero.data.images import Images
from hetero.data.kept import made_once
from hetero.data.listing import Box, Entry, Listing
from hetero.errors import InputError
from hetero.files import digest, read_json, write_json
from hetero.preprocessing import Preprocessing

T = TypeVar("T")
R = TypeVar("R")

_FORMAT = "hetero/decoded/1"


def workers() -> int:
    """Threads to decode with: the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_parallel(function: Callable[[T], R], items: Sequence[T], *, progress: str) -> Iterator[R]:
    """Results in the items' order, computed on all cores with a bounded number in flight, with a progress bar.

    Threads do: Pillow and hashing release the interpreter's lock.
    """
    count = workers()
    with ThreadPoolExecutor(count) as pool, tqdm(total=len(items), desc=progress, unit="image") as bar:
        waiting = iter(items)
        running = deque(pool.submit(function, item) for item in islice(waiting, 16 * count))
        while running:
            yield running.popleft().result()
            running.extend(pool.submit(function, item) for item in islice(waiting, 1))
            bar.update()


@dataclass(frozen=True)
class Decoded:
    """The readable images of a listing.

    Attributes:
        images: One row an image that could be read, in the listing's order.
        unreadable: What is wrong with each of the others, by position in the listing.
    """

    images: Images
    unreadable: dict[int, str]


class LazyImages:
    """Images that are decoded whenever they are read, on all cores.

    Args:
        paths: One file an image, with the box to cut out.
        preprocessing: How to decode.
    """

    def __init__(self, paths: Sequence[tuple[Path, Box | None]], preprocessing: Preprocessing) -> None:
        self._paths = tuple(paths)
        self._preprocessing = preprocessing
        self._pool = ThreadPoolExecutor(workers())

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, height, width, 3)``."""
        return (len(self._paths), self._preprocessing.height, self._preprocessing.width, 3)

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, indices: NDArray[np.int64] | slice, /) -> UInt8[np.ndarray, "b h w 3"]:
        """Decode these rows.

        Raises:
            UnreadableImageError: When a file has become unreadable since it was checked.
        """
        rows = range(*indices.indices(len(self))) if isinstance(indices, slice) else [int(row) for row in indices]
        chosen = [self._paths[row] for row in rows]
        result = np.empty((len(chosen), *self.shape[1:]), np.uint8)
        for position, image in enumerate(self._pool.map(self._decode, chosen)):
            result[position] = image
        return result

    def part(self, start: int, stop: int) -> LazyImages:
        """The rows from ``start`` to before ``stop``."""
        return LazyImages(self._paths[start:stop], self._preprocessing)

    def _decode(self, item: tuple[Path, Box | None]) -> UInt8[np.ndarray, "h w 3"]:
        return decode(item[0], self._preprocessing, item[1])


def decode_listing(listing: Listing, preprocessing: Preprocessing, *, cache: Path, limit: int) -> Decoded:
    """Decode every image of a listing once; a second call reads what the first one kept.

    Args:
        listing: Images in the order that rows will have.
        preprocessing: How to decode.
        cache: Where decoded sets are kept.
        limit: Largest decoded set in bytes that is kept; of a larger one only the list of unreadable files is.

    Returns:
        The images that can be read and what is wrong with the others.
    """
    entries = listing.entries
    size = len(entries) * preprocessing.height * preprocessing.width * 3
    fits = size <= limit
    key = digest([_FORMAT, fits, listing.fingerprint(), decoding_key(preprocessing), str(entries[0].path.parent)])
    directory = made_once(
        cache / "decoded" / key[:24],
        lambda folder: _is_whole(folder, size if fits else 0),
        lambda folder: _decode_into(folder, listing, preprocessing, keep=fits),
    )
    record = read_json(directory / "decoded.json")
    unreadable = {int(position): reason for position, reason in record["unreadable"].items()}
    if fits:
        images: Images = np.load(directory / "images.npy", mmap_mode="r", allow_pickle=False)[: record["images"]]
    else:
        readable = [entry for position, entry in enumerate(entries) if position not in unreadable]
        images = LazyImages([(entry.path, entry.box) for entry in readable], preprocessing)
    return Decoded(images, unreadable)


def decode_files(files: Sequence[Path], preprocessing: Preprocessing, *, limit: int = 4_000_000_000) -> Images:
    """Decode files that belong to no data set; nothing is kept on disk.

    Args:
        files: Images.
        preprocessing: How to decode.
        limit: Largest decoded set in bytes that is held in memory; a larger one is checked, then decoded when read.

    Raises:
        InputError: Listing every unreadable file.
    """
    entries = tuple(Entry(path, str(path), "") for path in files)
    listing = Listing("images", "files", entries)
    shape = (len(entries), preprocessing.height, preprocessing.width, 3)
    array = np.empty(shape, np.uint8) if np.prod(shape) <= limit else None
    if unreadable := _decode_all(listing, preprocessing, array):
        raise InputError(
            f"{len(unreadable)} of {len(entries)} images cannot be read; repair or remove them:",
            [f"{entries[position].name}: {reason}" for position, reason in unreadable.items()],
        )
    return LazyImages([(path, None) for path in files], preprocessing) if array is None else array


def _is_whole(directory: Path, size: int) -> bool:
    images, record = directory / "images.npy", directory / "decoded.json"
    return record.is_file() and (not size or (images.is_file() and images.stat().st_size >= size))


def _decode_into(directory: Path, listing: Listing, preprocessing: Preprocessing, *, keep: bool) -> None:
    """Write the readable images, without gaps, and ``decoded.json``."""
    shape = (len(listing.entries), preprocessing.height, preprocessing.width, 3)
    array = np.lib.format.open_memmap(directory / "images.npy", "w+", np.uint8, shape) if keep else None
    unreadable = _decode_all(listing, preprocessing, array)
    if array is not None:
        array.flush()
    images = len(listing.entries) - len(unreadable)
    record = {"images": images, "unreadable": {str(position): reason for position, reason in unreadable.items()}}
    write_json(directory / "decoded.json", record)


def _decode_all(
    listing: Listing, preprocessing: Preprocessing, array: UInt8[np.ndarray, "n h w 3"] | None
) -> dict[int, str]:
    """Decode into the array's first rows, without gaps; answer what is wrong with the others, by position."""

    def attempt(entry: Entry) -> UInt8[np.ndarray, "h w 3"] | str:
        try:
            return decode(entry.path, preprocessing, entry.box)
        except UnreadableImageError as error:
            return error.reason

    unreadable: dict[int, str] = {}
    row = 0
    for position, result in enumerate(in_parallel(attempt, listing.entries, progress=f"decoding {listing.name}")):
        if isinstance(result, str):
            unreadable[position] = result
            continue
        if array is not None:
            array[row] = result
        row += 1
    return unreadable
