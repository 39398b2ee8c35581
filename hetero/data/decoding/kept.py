"""Decoded images of a set that is larger than the cache may be: as many rows as fit are kept once they are decoded.

Batches are drawn at random, so that no row is more likely to come again than another: the first rows are as good as
any. A row's checksum is written after its pixels, and a row counts when its checksum was found right. So a process that
is killed, others that write the same row, or a crash of the machine cost a row at most, which is decoded again.
"""

from __future__ import annotations

import logging
import math
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from hetero.data.decoding.cache import made_once
from hetero.data.decoding.decoded_files import array_in, new_array, room_explained

_CHECKS = "checksums.npy"


class KeptPixels:
    """The first rows of a set of images, as far as they have been decoded.

    Args:
        pixels: uint8 [k, h, w, 3], a writable memory map.
        checksums: uint32 [k], a writable memory map; 0 for a row without pixels.
    """

    def __init__(self, pixels: UInt8[np.ndarray, "k h w 3"], checksums: np.ndarray) -> None:
        self._pixels, self._checksums = pixels, checksums
        self._right = np.zeros(len(pixels), np.bool_)

    def take(self, rows: Int64[np.ndarray, " b"], into: UInt8[np.ndarray, "b h w 3"]) -> Bool[np.ndarray, " b"]:
        """Copy the rows that are kept; return True for each of them."""
        own = np.flatnonzero(rows < len(self._pixels))
        for row in np.unique(rows[own][~self._right[rows[own]]]).tolist():
            stated = int(self._checksums[row])
            self._right[row] = stated != 0 and stated == _checksum(self._pixels[row])
        own = own[self._right[rows[own]]]
        into[own] = self._pixels[rows[own]]
        is_kept = np.zeros(len(rows), np.bool_)
        is_kept[own] = True
        return is_kept

    def put(self, row: int, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
        """Keep an image, if its row is one of those that are."""
        if row < len(self._pixels):
            self._pixels[row] = pixels
            self._checksums[row] = _checksum(pixels)


def kept_pixels(cache: Path, key: str, shape: tuple[int, ...], limit: int) -> KeptPixels | None:
    """Open the kept rows of a set, or make room for them.

    Args:
        cache: Folder that keeps decoded images.
        key: Digest of everything that decides the pixels of the set.
        shape: ``(n, height, width, 3)`` of the whole set.
        limit: Most bytes to keep.

    Returns:
        The rows; None when not one fits.

    Raises:
        InputError: When the cache has no room.
    """
    size = math.prod(shape[1:])
    kept = (min(shape[0], limit // size), *shape[1:])
    if not kept[0]:
        return None
    with room_explained(cache, kept):
        directory = made_once(
            cache / "kept" / f"{key[:24]}-{kept[0]}",
            lambda folder: _is_whole(folder, kept),
            lambda folder: _make(folder, kept),
        )
    pixels, checksums = (np.load(directory / name, mmap_mode="r+") for name in ("images.npy", _CHECKS))
    return KeptPixels(pixels.view(np.ndarray), checksums.view(np.ndarray))


def _make(directory: Path, shape: tuple[int, ...]) -> None:
    new_array(directory, shape).flush()
    np.save(directory / _CHECKS, np.zeros(shape[0], np.uint32))


def _is_whole(directory: Path, shape: tuple[int, ...]) -> bool:
    if not directory.exists():
        return False
    try:
        checksums = np.load(directory / _CHECKS, mmap_mode="r", allow_pickle=False)
        if array_in(directory).shape == shape and checksums.shape == shape[:1] and checksums.dtype == np.uint32:
            return True
    except (OSError, ValueError):
        pass
    logging.getLogger(__name__).warning("%s is damaged; making it again", directory)
    return False


def _checksum(pixels: UInt8[np.ndarray, "h w 3"]) -> int:
    return zlib.crc32(np.ascontiguousarray(pixels).data) or 1
