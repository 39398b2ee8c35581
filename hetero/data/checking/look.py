"""A look at one image file: its size and mode, whether it decodes, and whether it is black."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass

from hetero.data.decoding.decode import UnreadableImageError, decode_bytes
from hetero.data.decoding.grey import DeepGrey
from hetero.data.decoding.image_file import open_image
from hetero.data.sources.listing import Box
from hetero.preprocessing import Preprocessing

PROBE = Preprocessing(64, 64, resize="squash", pad_value=0)
"""How an image is reduced to look at its pixels."""
# The largest level of 255 that looks black.
_BLACK = 15


@dataclass(frozen=True)
class Look:
    """The properties of one opened file.

    Attributes:
        width: Pixels as stored.
        height: Pixels as stored.
        mode: Pillow's name of the colour mode.
        turned: True if an EXIF orientation turns it.
        content: SHA-256 of the file and the box in it.
        black: True without a pixel above 15 of 255.
        grey: Values of a grey file of more than 8 bits.
        error: Reason why it cannot be read; empty if it can.
    """

    width: int = 0
    height: int = 0
    mode: str = ""
    turned: bool = False
    content: str = ""
    black: bool = False
    grey: DeepGrey | None = None
    error: str = ""


def look_at(data: bytes, name: str, preprocessing: Preprocessing, box: Box | None) -> Look:
    """Decode an image file and describe it; what cannot be decoded is described by its error.

    Args:
        data: The bytes of the file.
        name: Name in messages.
        preprocessing: :data:`PROBE`, with the range of deep grey.
        box: The part that is an image of the data set.
    """
    try:
        pixels, grey = decode_bytes(data, name, preprocessing, box)
        with open_image(io.BytesIO(data)) as image:
            turned = image.getexif().get(0x0112, 1) != 1
            content = hashlib.sha256(data + f"{box}".encode()).hexdigest()
            return Look(image.width, image.height, image.mode, turned, content, int(pixels.max()) <= _BLACK, grey)
    except UnreadableImageError as error:
        return Look(error=error.reason)


def joined_grey(parts: Iterable[DeepGrey | None]) -> DeepGrey | None:
    """Return the values of all deep grey files; None without any."""
    total: DeepGrey | None = None
    for part in parts:
        total = part.joined(total) if part else total
    return total


def span(values: list[int]) -> tuple[int, int]:
    """Return the smallest and the largest value; zeros of none."""
    return (min(values), max(values)) if values else (0, 0)
