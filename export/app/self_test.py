"""Three images with their vectors, small enough for an application that tests itself with them.

An export makes them of golden images and keeps them in the bundle's ``selftest``: one whole, two cut to another shape,
so that the application's own resizing counts. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from export.app.contract import SELF_TESTS, SelfTestEntry, self_test_entries
from export.bundle.reading import Bundle
from hetero.data.decoding.decode import resized
from hetero.display.pages import png
from hetero.errors import IntegrityError
from hetero.files import write_bytes
from hetero.preprocessing import Preprocessing

_PNG_LIMIT = 24 << 10
"""Larger pictures are halved until they take no more bytes."""
_SMALLEST_SIDE = 8

Picture = UInt8[np.ndarray, "_ _ 3"]


@dataclass(frozen=True)
class SelfTest:
    """One image and the vector that torch gives for it.

    Attributes:
        png: The picture.
        vector: float32 [d], little-endian.
    """

    png: bytes
    vector: bytes


def write_self_tests(
    bundle: Path,
    images: UInt8[np.ndarray, "n h w 3"],
    embeddings: Float32[np.ndarray, "n d"],
    preprocessing: Preprocessing,
    embed: Callable[[UInt8[np.ndarray, "k h w 3"]], Float32[np.ndarray, "k d"]],
) -> None:
    """Make the self-test's images of golden images, embed them, and write them below a bundle's directory.

    Args:
        bundle: The directory of a bundle in the making.
        images: Its golden images.
        embeddings: Unit vectors of them.
        preprocessing: The contract.
        embed: Returns torch's unit vectors of prepared images.
    """
    from PIL import Image

    pictures = [_picture(images[row], place) for place, row in enumerate(_spread(embeddings))]
    prepared = np.stack([resized(Image.fromarray(picture), preprocessing) for picture in pictures])
    for entry, picture, vector in zip(self_test_entries(), pictures, embed(prepared), strict=True):
        write_bytes(bundle / entry.image, png(picture))
        write_bytes(bundle / entry.vector, vector.astype("<f4").tobytes())


def self_tests(bundle: Bundle) -> list[SelfTest]:
    """Return the self-test of a bundle; of one without, whole golden images, however large.

    Raises:
        IntegrityError: If a file is no PNG, or no vector of the space.
    """
    listed = {file.path for file in bundle.manifest.files}
    if all({entry.image, entry.vector} <= listed for entry in self_test_entries()):
        return [_stored(bundle, entry) for entry in self_test_entries()]
    goldens = bundle.goldens
    return [
        SelfTest(png(goldens.golden_images[row]), goldens.golden_embeddings[row].astype("<f4").tobytes())
        for row in _spread(goldens.golden_embeddings)
    ]


def _stored(bundle: Bundle, entry: SelfTestEntry) -> SelfTest:
    png, vector = ((bundle.path / name).read_bytes() for name in (entry.image, entry.vector))
    if not png.startswith(b"\x89PNG\r\n\x1a\n"):
        raise IntegrityError(f"{entry.image} is not a PNG file")
    if len(vector) != 4 * bundle.space.dimension:
        raise IntegrityError(f"{entry.vector}: expected {bundle.space.dimension} float32, got {len(vector)} bytes")
    return SelfTest(png, vector)


def _spread(embeddings: Float32[np.ndarray, "n d"]) -> Int64[np.ndarray, " k"]:
    """Return rows that lie far apart: the first, then each time the farthest from those taken."""
    rows = [0]
    while len(rows) < SELF_TESTS:
        nearest = (embeddings @ embeddings[rows].T).max(axis=1)
        rows.append(int(nearest.argmin()))
    return np.array(rows)


def _picture(image: Picture, place: int) -> Picture:
    """Return the whole image, the middle of its columns, or that of its rows; halved until it is small as a file."""
    from PIL import Image

    height, width = (side // 8 for side in image.shape[:2])
    cuts = (image, image[:, width : image.shape[1] - width], image[height : image.shape[0] - height])
    picture = np.ascontiguousarray(cuts[place])
    while len(png(picture)) > _PNG_LIMIT and min(picture.shape[:2]) >= 2 * _SMALLEST_SIDE:
        picture = np.asarray(Image.fromarray(picture).reduce(2))
    return picture
