"""Reading and decoding the images of an index."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from io import BytesIO

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from hetero.data.decoding.crop import crop_of
from hetero.data.decoding.decode import UnreadableImageError, decode_bytes, picture_size
from hetero.data.index.image_index import ImageIndex
from hetero.data.index.places import filesystem, is_remote, store_errors
from hetero.errors import InputError
from hetero.preprocessing import Preprocessing

_AT_ONCE = 32
_CHUNK = 256


class IndexReader:
    """Reads the bytes of images where they lie: from the disk by their offset, from a store by ranges.

    Args:
        index: The index.
    """

    def __init__(self, index: ImageIndex) -> None:
        self.index = index
        self._by_contents = not index.asked_store

    def read(self, rows: Int64[np.ndarray, " b"]) -> Iterator[bytes]:
        """Yield the bytes of each image, in order.

        Raises:
            InputError: When a file is gone, or not the one that was indexed.
        """
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            columns = self.index.columns
            files = [self.index.file_of(source) for source in columns["source"][part].tolist()]
            places = list(zip(files, columns["offset"][part].tolist(), columns["length"][part].tolist(), strict=True))
            # Ranges of a store are asked for together, since each takes long to arrive.
            images = _from_store(places) if places and is_remote(files[0]) else map(_from_disk, places)
            for row, (file, _, length), data in zip(part.tolist(), places, images, strict=True):
                if len(data) != length or (self._by_contents and not self._is_indexed(row, data)):
                    raise InputError(
                        f"{file} was changed since it was indexed ({self.index.names[row]}); index the data again"
                    )
                yield data

    def sizes(self, rows: Int64[np.ndarray, " b"]) -> Iterator[tuple[int, int]]:
        """Yield width and height of each picture, read from its header."""
        for row, data in zip(rows.tolist(), self.read(rows), strict=True):
            yield picture_size(BytesIO(data), self.index.box(row), name=self.index.names[row])

    def _is_indexed(self, row: int, data: bytes) -> bool:
        return hashlib.sha256(data).digest() == self.index.content[row].tobytes()


class IndexDecoder:
    """Decodes images of an index.

    Args:
        reader: Reads their bytes.
        preprocessing: Preparation of the images.
        order: int64 [n], the image of each place.
    """

    def __init__(self, reader: IndexReader, preprocessing: Preprocessing, order: Int64[np.ndarray, " n"]) -> None:
        self._reader, self._preprocessing, self._order = reader, preprocessing, order

    def __call__(
        self, rows: Int64[np.ndarray, " b"], /, crops: Float64[np.ndarray, "b 4"] | None = None
    ) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
        """Yield the pixels of these places, or of crops of them, in order.

        Raises:
            InputError: When an image cannot be decoded, or grey ones need a range.
        """
        index, rows = self._reader.index, self._order[rows]
        for place, (row, data) in enumerate(zip(rows.tolist(), self._reader.read(rows), strict=True)):
            name, crop = index.names[row], crop_of(crops, place)
            try:
                pixels, grey = decode_bytes(data, name, self._preprocessing, index.box(row), crop=crop)
            except UnreadableImageError as error:
                raise UnreadableImageError(
                    name, f"{error.reason}; hetero data check lists all such images, skip_unreadable leaves them out"
                ) from None
            if grey is not None and (problem := grey.problem(self._preprocessing.grey_range)):
                raise InputError(f"{name}: {problem}")
            yield pixels


def row_chunks(rows: Int64[np.ndarray, " n"]) -> list[Int64[np.ndarray, " b"]]:
    """Return the rows in pieces, each the work of one thread."""
    return [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]


def _from_disk(place: tuple[str, int, int]) -> bytes:
    file, offset, length = place
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}") from None


def _from_store(places: Sequence[tuple[str, int, int]]) -> list[bytes]:
    files, paths = filesystem(places[0][0])[0], [filesystem(file)[1] for file, _, _ in places]
    starts = [offset for _, offset, _ in places]
    ends = [offset + length for _, offset, length in places]
    with store_errors(places[0][0]):
        return files.cat_ranges(paths, starts, ends, on_error="raise")
