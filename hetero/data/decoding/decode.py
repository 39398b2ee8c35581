"""Decoding of an image file to the uint8 RGB array that a model reads.

Colour profiles are not applied, because phones do not apply them to their decoded pixels either.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Generator
from io import BytesIO
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, ImageOps

from hetero.data.decoding.crop import Pixels, Shares, in_reduced, part_of, reduce_for
from hetero.data.decoding.grey import DeepGrey, Range, eight_bits, is_deep
from hetero.data.decoding.image_file import open_image
from hetero.data.sources.listing import Box
from hetero.errors import InputError
from hetero.preprocessing import Preprocessing

_LYING = (5, 6, 7, 8)
"""EXIF orientations that swap width and height."""

_LONGEST = 1 << 17
"""Longer side of a picture whose centre is cut out, in pixels, when its shorter side has been resized."""

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


class UnreadableImageError(InputError):
    """A file that cannot be decoded; ``reason`` is the part of the message after the path."""

    def __init__(self, path: Path | str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.reason = path, reason

    def __reduce__(self) -> tuple[type[UnreadableImageError], tuple[Path | str, str]]:
        """Return how another process, or another machine, makes it again."""
        return type(self), (self.path, self.reason)


def decoding_key(preprocessing: Preprocessing) -> str:
    """Return a digest of the settings that decide the decoded pixels; mean and deviation are part of the model."""
    return preprocessing.decoding


def decode(
    path: Path, preprocessing: Preprocessing, box: Box | None = None, *, content: str = "", crop: Shares | None = None
) -> UInt8[np.ndarray, "h w 3"]:
    """Decode an image, turn it upright, cut the box out, and resize.

    Args:
        path: A file in one of :data:`hetero.data.decoding.image_file.FORMATS`; the first frame of an animation is read.
        preprocessing: Target size, manner of resizing, filter, ground and range of deep grey.
        box: ``(left, top, right, bottom)`` in pixels of the upright image.
        content: SHA-256 that the file must have; empty when it does not matter.
        crop: Part of the picture (or of the box) to cut out, see :mod:`hetero.data.decoding.crop`; None for all of it.

    Raises:
        UnreadableImageError: When the file is missing, damaged, of another format or too large, or when the box lies
            outside the image.
        InputError: When the file is not the one that ``content`` names.
    """
    return decode_looking(path, preprocessing, box, content=content, crop=crop)[0]


def decode_looking(
    path: Path, preprocessing: Preprocessing, box: Box | None = None, *, content: str = "", crop: Shares | None = None
) -> tuple[UInt8[np.ndarray, "h w 3"], DeepGrey | None]:
    """Decode as :func:`decode` does, and return the values of a grey file of more than 8 bits; None for other files."""
    rgb, part, deep = _read(path, preprocessing, content, box, crop)
    with _unreadable(path):
        return resized(rgb, preprocessing, part), deep


def decode_bytes(
    data: bytes, name: str, preprocessing: Preprocessing, box: Box | None = None, *, crop: Shares | None = None
) -> tuple[UInt8[np.ndarray, "h w 3"], DeepGrey | None]:
    """Decode the bytes of an image file as :func:`decode_looking` does; ``name`` stands in messages.

    Raises:
        UnreadableImageError: As in :func:`decode`.
    """
    with _unreadable(name), open_image(BytesIO(data)) as image:
        rgb, part, deep = _picture(image, preprocessing, name, box, crop)
    with _unreadable(name):
        return resized(rgb, preprocessing, part), deep


def decoded_whole(path: Path, preprocessing: Preprocessing) -> UInt8[np.ndarray, "h w 3"]:
    """Decode the upright picture on the contract's ground in its own size, before :func:`decode` would resize it.

    Raises:
        UnreadableImageError: When the file is missing, damaged, of another format or too large.
    """
    return np.asarray(_read(path, preprocessing)[0])


def _read(
    path: Path, preprocessing: Preprocessing, content: str = "", box: Box | None = None, crop: Shares | None = None
) -> tuple[Image.Image, Box | None, DeepGrey | None]:
    with _unreadable(path), path.open("rb") as stream:
        if content and hashlib.file_digest(stream, "sha256").hexdigest() != content:
            raise InputError(f"{path} was changed since the data was listed; start again")
        stream.seek(0)
        with open_image(stream) as image:
            return _picture(image, preprocessing, path, box, crop)


def _picture(
    image: Image.Image, preprocessing: Preprocessing, name: Path | str, box: Box | None, crop: Shares | None
) -> tuple[Image.Image, Box | None, DeepGrey | None]:
    """Decode an opened image, upright and in RGB, and cut out the box, and the crop of that.

    Returns:
        The image, the part of it to resize (None for all), and the values of a grey file of more than 8 bits.
    """
    if crop is None:
        rgb, deep = _upright_rgb(image, preprocessing.pad_value, preprocessing.grey_range)
        return (rgb if box is None else rgb.crop(_inside(rgb.size, box, name))), None, deep
    size, orientation = _upright_size(image), _orientation(image)
    part = part_of((0, 0, *size) if box is None else _inside(size, box, name), crop)
    reduction = reduce_for(part, image, preprocessing)
    rgb, deep = _upright_rgb(image, preprocessing.pad_value, preprocessing.grey_range)
    if reduction == 1:
        return rgb.crop(part), None, deep
    left, top, right, bottom = in_reduced(part, size, reduction, orientation)
    first = (math.floor(left), math.floor(top))
    rgb = rgb.crop((*first, math.ceil(right), math.ceil(bottom)))
    return rgb, (left - first[0], top - first[1], right - first[0], bottom - first[1]), deep


@contextlib.contextmanager
def _unreadable(path: Path | str) -> Generator[None]:
    """Name the image in whatever error a format's plugin raises: on damaged files it may be of any kind."""
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        raise UnreadableImageError(path, _reason(error)) from None


def picture_size(source: Path | BytesIO, box: Box | None = None, *, name: str = "") -> tuple[int, int]:
    """Return width and height of the picture that :func:`decode` resizes, read from the file's header.

    Args:
        source: The file, or its bytes.
        box: As in :func:`decode`.
        name: Name in messages; default the path.

    Raises:
        UnreadableImageError: When the file is missing or not an image.
    """
    with _unreadable(name or str(source)), open_image(source) as image:
        width, height = _upright_size(image)
    if box is None:
        return width, height
    left, top = max(0, round(box[0])), max(0, round(box[1]))
    return min(width, round(box[2])) - left, min(height, round(box[3])) - top


def _upright_size(image: Image.Image) -> tuple[int, int]:
    return (image.height, image.width) if _orientation(image) in _LYING else image.size


def _orientation(image: Image.Image) -> int:
    return image.getexif().get(ExifTags.Base.Orientation, 1)


def _upright_rgb(image: Image.Image, ground: int, grey_range: Range | None) -> tuple[Image.Image, DeepGrey | None]:
    """Convert an image of any mode (grey, palette, CMYK) to upright RGB; transparent parts show the ground.

    The image is not to be used further: copies of it, which Pillow makes by default, cost a tenth of the decoding.
    """
    ImageOps.exif_transpose(image, in_place=True)
    deep = None
    if is_deep(image):
        image, deep = eight_bits(image, grey_range)
    if image.has_transparency_data:
        flat = Image.new("RGBA", image.size, (ground, ground, ground, 255))
        flat.alpha_composite(image.convert("RGBA"))
        return flat.convert("RGB"), deep
    if image.mode != "RGB":
        return image.convert("RGB"), deep
    image.load()  # while its file is open
    return image, deep


def resized(image: Image.Image, preprocessing: Preprocessing, part: Box | None = None) -> UInt8[np.ndarray, "h w 3"]:
    """Fit an RGB image to the model's input by ``preprocessing.resize``.

    Args:
        image: Mode RGB, any size.
        preprocessing: Target size, manner of resizing, filter and ground.
        part: The part of the image to take; None for all of it.

    Raises:
        ValueError: When the picture is too long for its centre to be cut out.
    """
    left, top, right, bottom = part or (0.0, 0.0, float(image.width), float(image.height))
    width, height, target = right - left, bottom - top, (preprocessing.width, preprocessing.height)
    filter_ = _FILTERS[preprocessing.filter]
    if preprocessing.cut_from is not None:
        return np.asarray(_cut_out(image, (left, top, right, bottom), target, filter_, preprocessing))
    if preprocessing.resize == "squash" or width * target[1] == height * target[0]:
        return np.asarray(_resize(image, target, filter_, (left, top, right, bottom)))
    if preprocessing.resize == "crop":
        inner_left, inner_top, inner_right, inner_bottom = _centre((width, height), target)
        inner = (left + inner_left, top + inner_top, left + inner_right, top + inner_bottom)
        return np.asarray(_resize(image, target, filter_, inner))
    scale = min(target[0] / width, target[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    ground = Image.new("RGB", target, (preprocessing.pad_value,) * 3)
    fitted = _resize(image, size, filter_, (left, top, right, bottom))
    ground.paste(fitted, ((target[0] - size[0]) // 2, (target[1] - size[1]) // 2))
    return np.asarray(ground)


def _resize(image: Image.Image, size: tuple[int, int], filter_: Image.Resampling, box: Box) -> Image.Image:
    # Across first: since Pillow 13 ``resize`` alone starts downwards with tall images, which rounds otherwise.
    left, top, right, bottom = box
    across = image.resize((size[0], image.height), filter_, box=(left, 0, right, image.height))
    return across.resize(size, filter_, box=(0, top, size[0], bottom))


def _cut_out(
    image: Image.Image, part: Box, target: tuple[int, int], filter_: Image.Resampling, preprocessing: Preprocessing
) -> Image.Image:
    """Resize a part of a picture to the side that it has before the cut, in whole pixels, and cut out its centre."""
    left, top, right, bottom = part
    side, lengths = preprocessing.cut_from or 0, (right - left, bottom - top)
    # A crop's longer side is rounded down.
    keeps = preprocessing.resize == "crop"
    width, height = (int(side * length / min(lengths)) if keeps else side for length in lengths)
    if max(width, height) > _LONGEST:
        raise ValueError(f"its longer side would take {max(width, height):,} pixels, more than {_LONGEST:,}")
    rounded = round if preprocessing.cut_rounds == "even" else math.floor
    x, y = rounded((width - target[0]) / 2), rounded((height - target[1]) / 2)
    # Cut after either step: of a long picture little is kept.
    across = image.resize((width, image.height), filter_, box=(left, 0, right, image.height))
    across = across.crop((x, 0, x + target[0], image.height))
    down = across.resize((target[0], height), filter_, box=(0, top, target[0], bottom))
    return down.crop((0, y, target[0], y + target[1]))


def _centre(size: tuple[float, float], target: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the largest centred box of the target's shape, ``(left, top, right, bottom)`` in source pixels."""
    scale = min(size[0] / target[0], size[1] / target[1])
    # Rounding may put a border slightly outside the image, which Pillow refuses.
    width, height = min(target[0] * scale, size[0]), min(target[1] * scale, size[1])
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return (left, top, left + width, top + height)


def _inside(size: tuple[int, int], box: Box, path: Path | str) -> Pixels:
    """Return the part of a box that lies inside the image, in whole pixels."""
    left, top = max(0, round(box[0])), max(0, round(box[1]))
    right, bottom = min(size[0], round(box[2])), min(size[1], round(box[3]))
    if left >= right or top >= bottom:
        raise UnreadableImageError(path, f"the box {box} holds no pixel of the {size[0]} x {size[1]} image")
    return (left, top, right, bottom)


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return str(error).split(" <_io")[0].split(" '/")[0] or type(error).__name__
