"""Stand-ins for well-known platform resizers, in numpy and Pillow, to price another resizer.

None of these *is* the platform's code: each samples as its documentation and sources describe. All are separable: a
matrix for the rows, another for the columns.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float64, UInt8

from hetero.data.decoding.decode import decoded_whole
from hetero.preprocessing import Preprocessing

Weights = Callable[[int, int], Float64[np.ndarray, "target source"]]
# Skia filters bitmaps with fractions of four bits.
_SKIA_STEPS = 16
# OpenCV's warps have fractions of five bits.
_WARP_STEPS = 32


def bilinear(source: int, target: int) -> Float64[np.ndarray, "target source"]:
    """Weigh two neighbours per pixel, centres aligned, no antialiasing: OpenCV's INTER_LINEAR, a GPU's sampler."""
    return _two_taps(source, _centres(source, target))


def android(source: int, target: int) -> Float64[np.ndarray, "target source"]:
    """Weigh as Android's ``Bitmap.createScaledBitmap(filter=true)``: :func:`bilinear` with Skia's coarse fractions."""
    return _two_taps(source, np.floor(_centres(source, target) * _SKIA_STEPS) / _SKIA_STEPS)


def mediapipe(source: int, target: int) -> Float64[np.ndarray, "target source"]:
    """Weigh as MediaPipe's image tasks on a CPU: two neighbours, corners aligned instead of centres, no antialiasing.

    A pixel halfway between two fractions may take the other one.
    """
    return _two_taps(source, np.rint(np.arange(target) * source / target * _WARP_STEPS) / _WARP_STEPS)


def nearest(source: int, target: int) -> Float64[np.ndarray, "target source"]:
    """Take the nearest pixel: ``createScaledBitmap(filter=false)``, OpenCV's INTER_NEAREST."""
    weights = np.zeros((target, source))
    weights[np.arange(target), np.minimum(np.arange(target) * source // target, source - 1)] = 1
    return weights


def area(source: int, target: int) -> Float64[np.ndarray, "target source"]:
    """Average the area below each pixel: OpenCV's INTER_AREA when shrinking; it enlarges bilinearly."""
    if target >= source:
        return bilinear(source, target)
    edges = np.arange(target + 1) * source / target
    pixels = np.arange(source)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return np.maximum(shared, 0) * target / source


def lanczos(source: int, target: int) -> Float64[np.ndarray, "target source"]:
    """Weigh by antialiased Lanczos-3, in place of Core Graphics' high quality, whose kernel is undocumented."""
    scale = max(1.0, source / target)
    centres = (np.arange(target) + 0.5) * source / target
    at = (np.arange(source) + 0.5 - centres[:, None]) / scale
    weights = np.where(np.abs(at) < 3, np.sinc(at) * np.sinc(at / 3), 0)
    return weights / weights.sum(axis=1, keepdims=True)


RESIZERS: Mapping[str, Weights] = {
    "bilinear without antialiasing": bilinear,
    "Android bilinear": android,
    "MediaPipe": mediapipe,
    "nearest": nearest,
    "Core Graphics high": lanczos,
    "OpenCV area": area,
}
"""Stand-ins by the name that reports show."""


def resized_with(path: Path, contract: Preprocessing, weights: Weights) -> UInt8[np.ndarray, "h w 3"]:
    """Decode a file, and fit it by the contract with another resizer.

    Args:
        path: A JPEG or PNG file.
        contract: Size, fit and ground; ``weights`` replaces its filter.
        weights: One of :data:`RESIZERS`.

    Raises:
        UnreadableImageError: If the file cannot be decoded.
    """
    image = decoded_whole(path, contract)
    height, width = contract.height, contract.width
    rows, columns = image.shape[:2]
    if contract.resize == "squash" or columns * height == rows * width:
        return _apply(image, height, width, weights)
    if contract.resize == "crop":
        scale = min(columns / width, rows / height)
        inner = (max(1, round(height * scale)), max(1, round(width * scale)))
        top, left = (rows - inner[0]) // 2, (columns - inner[1]) // 2
        return _apply(image[top : top + inner[0], left : left + inner[1]], height, width, weights)
    scale = min(width / columns, height / rows)
    inner = (max(1, round(rows * scale)), max(1, round(columns * scale)))
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    ground = np.full((height, width, 3), contract.pad_value, np.uint8)
    ground[top : top + inner[0], left : left + inner[1]] = _apply(image, *inner, weights)
    return ground


def _apply(image: UInt8[np.ndarray, "a b 3"], height: int, width: int, weights: Weights) -> UInt8[np.ndarray, "h w 3"]:
    rows, columns = weights(image.shape[0], height), weights(image.shape[1], width)
    mixed = np.einsum("ha,abc->hbc", rows, image.astype(np.float64), optimize=True)
    mixed = np.einsum("wb,hbc->hwc", columns, mixed, optimize=True)
    return np.clip(np.floor(mixed + 0.5), 0, 255).astype(np.uint8)


def _centres(source: int, target: int) -> Float64[np.ndarray, " target"]:
    return (np.arange(target) + 0.5) * source / target - 0.5


def _two_taps(source: int, places: Float64[np.ndarray, " target"]) -> Float64[np.ndarray, "target source"]:
    left = np.floor(places)
    weights = np.zeros((len(places), source))
    for row, (first, share) in enumerate(zip(left.astype(int), places - left, strict=True)):
        weights[row, min(max(first, 0), source - 1)] += 1 - share
        weights[row, min(max(first + 1, 0), source - 1)] += share
    assert math.isclose(weights.sum(), len(places))
    return weights
