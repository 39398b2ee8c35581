"""Images that are decoded whenever they are read, on all cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64, UInt8
from numpy.typing import NDArray

from hetero.data.decoding.crop import crop_of
from hetero.data.decoding.decode import decode
from hetero.data.decoding.kept import KeptPixels
from hetero.data.decoding.parallel import workers
from hetero.data.sources.listing import ListedImage
from hetero.preprocessing import Preprocessing

_AT_ONCE = 32
"""Most images that one thread reads and decodes before it takes others."""


@runtime_checkable
class Decoder(Protocol):
    """Decodes images of a set by their rows."""

    def __call__(
        self, rows: Int64[np.ndarray, " b"], /, crops: Float64[np.ndarray, "b 4"] | None = None
    ) -> Iterable[UInt8[np.ndarray, "h w 3"]]:
        """Yield the pixels of these rows, or of crops of them, in order."""
        ...


class LazyImages:
    """Images that are decoded whenever they are read, on all cores.

    Args:
        decoder: Decodes rows of a whole set.
        rows: int64 [n], the rows of the set that belong here.
        preprocessing: Size of the images.
        kept: Rows that are kept when they have been decoded.
        pool: Threads to decode on; own ones by default.
    """

    def __init__(
        self,
        decoder: Decoder,
        rows: Int64[np.ndarray, " n"],
        preprocessing: Preprocessing,
        kept: KeptPixels | None = None,
        pool: ThreadPoolExecutor | None = None,
    ) -> None:
        self._decoder, self._rows, self._preprocessing, self._kept = decoder, rows, preprocessing, kept
        self._pool = pool or ThreadPoolExecutor(workers())

    @property
    def shape(self) -> tuple[int, ...]:
        """``(n, height, width, 3)``."""
        return (len(self._rows), self._preprocessing.height, self._preprocessing.width, 3)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, indices: NDArray[np.int64] | slice, /) -> UInt8[np.ndarray, "b h w 3"]:
        """Decode these rows.

        Raises:
            UnreadableImageError: When an image cannot be read.
            InputError: When a file was changed since it was listed.
        """
        rows = self._rows[indices]
        result = np.empty((len(rows), *self.shape[1:]), np.uint8)
        left = np.arange(len(rows)) if self._kept is None else np.flatnonzero(~self._kept.take(rows, result))

        def fill(places: Int64[np.ndarray, " k"]) -> None:
            for place, image in zip(places, self._decoder(rows[places]), strict=True):
                result[place] = image
                if self._kept is not None:
                    self._kept.put(int(rows[place]), image)

        self._on_all_cores(fill, left)
        return result

    def cropped(
        self, rows: Int64[np.ndarray, " b"], crops: Float64[np.ndarray, "b 4"], /
    ) -> UInt8[np.ndarray, "b h w 3"]:
        """Decode a crop of each of these rows; none is kept, since it hardly comes again.

        Raises:
            UnreadableImageError: When an image cannot be read.
            InputError: When a file was changed since it was listed.
        """
        result = np.empty((len(rows), *self.shape[1:]), np.uint8)

        def fill(places: Int64[np.ndarray, " k"]) -> None:
            decoded = self._decoder(self._rows[rows[places]], crops=crops[places])
            for place, image in zip(places, decoded, strict=True):
                result[place] = image

        self._on_all_cores(fill, np.arange(len(rows)))
        return result

    def _on_all_cores(self, fill: Callable[[Int64[np.ndarray, " k"]], None], places: Int64[np.ndarray, " b"]) -> None:
        size = min(_AT_ONCE, -(-len(places) // (2 * workers())) or 1)
        for _ in self._pool.map(fill, [places[start : start + size] for start in range(0, len(places), size)]):
            pass

    def select(self, rows: Int64[np.ndarray, " m"] | slice) -> LazyImages:
        """Return some of the images, in the order of ``rows``; none is decoded."""
        return LazyImages(self._decoder, self._rows[rows], self._preprocessing, self._kept, self._pool)


class ListedDecoder:
    """Decodes the files of a listing.

    Args:
        entries: One entry an image. A file that has changed since it was listed is refused.
        preprocessing: Preparation of the images.
    """

    def __init__(self, entries: Sequence[ListedImage], preprocessing: Preprocessing) -> None:
        self._entries, self._preprocessing = entries, preprocessing

    def __call__(
        self, rows: Int64[np.ndarray, " b"], /, crops: Float64[np.ndarray, "b 4"] | None = None
    ) -> Iterable[UInt8[np.ndarray, "h w 3"]]:
        """Yield the pixels of these rows, or of crops of them, in order."""
        for place, entry in enumerate(self._entries[row] for row in rows.tolist()):
            crop = crop_of(crops, place)
            yield decode(entry.path, self._preprocessing, entry.box, content=entry.content, crop=crop)
