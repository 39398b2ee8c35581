"""From an image file to the uint8 RGB array that a model reads."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from hetero.preprocessing import Preprocessing

_FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def resized(image: Image.Image, preprocessing: Preprocessing) -> UInt8[np.ndarray, "h w 3"]:
    """Fit an RGB image to the model's input as ``preprocessing.resize`` says.

    Args:
        image: Mode RGB, any size.
        preprocessing: Target size, manner, filter and ground.
    """
    target = (preprocessing.width, preprocessing.height)
    filter_ = _FILTERS[preprocessing.filter]
    if preprocessing.resize == "squash" or image.width * target[1] == image.height * target[0]:
        return np.asarray(image.resize(target, filter_))
    if preprocessing.resize == "crop":
        return np.asarray(image.resize(target, filter_, box=_centre(image.size, target)))
    scale = min(target[0] / image.width, target[1] / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    ground = Image.new("RGB", target, (preprocessing.pad_value,) * 3)
    ground.paste(image.resize(inner, filter_), ((target[0] - inner[0]) // 2, (target[1] - inner[1]) // 2))
    return np.asarray(ground)


def _centre(size: tuple[int, int], target: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest centred box of the target's shape: ``(left, top, right, bottom)`` in source pixels."""
    scale = min(size[0] / target[0], size[1] / target[1])
    width, height = target[0] * scale, target[1] * scale
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return (left, top, left + width, top + height)
