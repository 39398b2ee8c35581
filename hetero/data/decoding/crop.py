"""Crops of pictures, given by shares of their sides: the same part of a picture whatever its size and preparation."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64
from PIL import Image

from hetero.data.sources.listing import Box
from hetero.preprocessing import Preprocessing

Shares = tuple[float, float, float, float]
"""``left, top, right, bottom`` of a crop, from 0 to 1: shares of a picture's width and height."""
Pixels = tuple[int, int, int, int]
"""A box of whole pixels: left, top, right, bottom."""

_FLIPPED_ACROSS, _FLIPPED_DOWN = (2, 3, 6, 7), (3, 4, 7, 8)
"""EXIF orientations by which the upright image begins, across or down, where the stored one ends."""

_REDUCTIONS = (8, 4, 2)
_GAP = 2.0
"""Least resolution of a crop, in that of the input, before it is resized: what Pillow's ``thumbnail`` keeps, too."""


def crop_of(crops: Float64[np.ndarray, "b 4"] | None, place: int) -> Shares | None:
    """Return the crop of one of several images, if they are cropped."""
    if crops is None:
        return None
    left, top, right, bottom = crops[place].tolist()
    return (left, top, right, bottom)


def part_of(box: Pixels, crop: Shares) -> Pixels:
    """Return the crop of a box in whole pixels, at least one."""
    left, right = _whole(box[0], box[2], crop[0], crop[2])
    top, bottom = _whole(box[1], box[3], crop[1], crop[3])
    return (left, top, right, bottom)


def _whole(start: int, stop: int, first: float, last: float) -> tuple[int, int]:
    begin = min(start + round(first * (stop - start)), stop - 1)
    return begin, max(start + round(last * (stop - start)), begin + 1)


def reduce_for(part: Pixels, image: Image.Image, preprocessing: Preprocessing) -> int:
    """Have a JPEG decoded at a half, a quarter or an eighth of its size where that is enough for a part of it.

    The decoder then averages blocks of pixels while it transforms them back: that costs less, and changes less than
    the choice of a filter does. Other formats are decoded as they are.

    Args:
        part: Box in the upright image.
        image: The image, opened and not yet decoded.
        preprocessing: Gives the size to which the part is resized.

    Returns:
        Pixels of the image that become one, across and down.
    """
    sides = ((part[2] - part[0]) / preprocessing.width, (part[3] - part[1]) / preprocessing.height)
    reduction = next((size for size in _REDUCTIONS if min(sides) >= _GAP * size), 1)
    if reduction == 1 or image.draft(None, (image.width // reduction, image.height // reduction)) is None:
        return 1
    return reduction


def in_reduced(part: Pixels, size: tuple[int, int], reduction: int, orientation: int) -> Box:
    """Return the place of a part in an image that was decoded at a share of its size.

    Args:
        part: Box in the upright image.
        size: Width and height of the upright image.
        reduction: Pixels that became one, across and down.
        orientation: EXIF orientation by which the image was turned upright: blocks that the image does not fill lie at
            the end of the image as it is stored.
    """
    left, right = _moved(part[0], part[2], size[0], reduction, is_flipped=orientation in _FLIPPED_ACROSS)
    top, bottom = _moved(part[1], part[3], size[1], reduction, is_flipped=orientation in _FLIPPED_DOWN)
    return (left, top, right, bottom)


def _moved(start: int, stop: int, size: int, reduction: int, *, is_flipped: bool) -> tuple[float, float]:
    first = -size % reduction if is_flipped else 0
    return (first + start) / reduction, (first + stop) / reduction
