"""Golden files: every kind of JPEG and PNG file that applications meet, with the contract's pixels of it.

They are made of a bundle's golden images, so that each target proves its own decoding, rotation and resizing,
whatever the format of the original data.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from export.bundle.reading import Bundle
from hetero.data.decoding.decode import decode
from hetero.files import cache_directory, sha256_bytes, sha256_file, write_bytes
from hetero.preprocessing import Preprocessing

Encode = Callable[[Image.Image], bytes]

_ORIENTATION = 0x0112  # of EXIF 2.3, table 4
# Larger than the model's input, not square, and not a multiple of a JPEG block.
_WIDER, _HIGHER = (4, 1), (3, 2)


@dataclass(frozen=True)
class GoldenFile:
    """A file that a target decodes and resizes itself.

    Attributes:
        kind: Its special feature, for people.
        path: Its path, named by its digest.
        pixels: uint8 [h, w, 3], the contract's pixels of it.
    """

    kind: str
    path: Path
    pixels: UInt8[np.ndarray, "h w 3"]


def golden_files(bundle: Bundle) -> tuple[GoldenFile, ...]:
    """Return one file of each kind, made from the golden images in turn, in the cache folder."""
    images = bundle.goldens.golden_images
    return _made(images.tobytes(), images.shape, bundle.preprocessing, cache_directory() / "golden-files")


@lru_cache(maxsize=8)
def _made(content: bytes, shape: tuple[int, ...], contract: Preprocessing, folder: Path) -> tuple[GoldenFile, ...]:
    images = np.frombuffer(content, np.uint8).reshape(shape)
    files: list[GoldenFile] = []
    for number, (kind, encode) in enumerate({**KINDS, _DEEP_GREY: _deep_grey(contract.grey_range)}.items()):
        encoded = encode(_enlarged(images[number % len(images)]))
        suffix = "jpg" if kind.startswith("JPEG") else "png"
        digest = sha256_bytes(encoded)
        path = folder / f"{digest}.{suffix}"
        if not path.is_file() or sha256_file(path) != digest:
            write_bytes(path, encoded)
        files.append(GoldenFile(kind, path, decode(path, contract)))
    return tuple(files)


def _enlarged(image: UInt8[np.ndarray, "h w 3"]) -> Image.Image:
    height, width, _ = image.shape
    size = (_WIDER[0] * width + _WIDER[1], _HIGHER[0] * height + _HIGHER[1])
    return Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)


def _jpeg(*, mode: str = "RGB", subsampling: str = "4:2:0", progressive: bool = False, orientation: int = 0) -> Encode:
    exif = Image.Exif()
    if orientation:
        exif[_ORIENTATION] = orientation

    def encode(picture: Image.Image) -> bytes:
        stream = io.BytesIO()
        options = {"quality": 90, "progressive": progressive, "exif": exif}
        options |= {"subsampling": subsampling} if mode == "RGB" else {}
        picture.convert(mode).save(stream, "jpeg", **options)
        return stream.getvalue()

    return encode


def _png(change: Callable[[Image.Image], Image.Image]) -> Encode:
    def encode(picture: Image.Image) -> bytes:
        stream = io.BytesIO()
        change(picture).save(stream, "png")
        return stream.getvalue()

    return encode


def _fading(picture: Image.Image) -> Image.Image:
    """Add transparency: opaque at the left, transparent at the right."""
    alpha = np.linspace(255, 0, picture.width).round().astype(np.uint8)
    return Image.merge("RGBA", [*picture.split(), Image.fromarray(np.tile(alpha, (picture.height, 1)))])


def _deep_grey(grey_range: tuple[float, float] | None) -> Encode:
    """Return a 16-bit image with values from one end of the contract's range to the other."""
    low, high = grey_range or (0, 65535)

    def change(picture: Image.Image) -> Image.Image:
        values = low + np.asarray(picture.convert("L")).astype(np.float64) / 255 * (high - low)
        return Image.fromarray(np.floor(values + 0.5).clip(0, 65535).astype(np.uint16))

    return _png(change)


_DEEP_GREY = "PNG, 16-bit grey"
KINDS: Mapping[str, Encode] = {
    "JPEG": _jpeg(),
    "JPEG without subsampling": _jpeg(subsampling="4:4:4"),
    "JPEG, progressive": _jpeg(progressive=True),
    "JPEG, grey": _jpeg(mode="L"),
    **{f"JPEG, EXIF orientation {number}": _jpeg(orientation=number) for number in range(2, 9)},
    "PNG": _png(lambda picture: picture),
    "PNG, transparent": _png(_fading),
    "PNG, palette": _png(lambda picture: picture.quantize(64)),
    _DEEP_GREY: _deep_grey(None),
}
"""Files by kind. CMYK, which comes from print shops and not from cameras or screens, is not among them."""
