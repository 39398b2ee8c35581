"""Augmentation of a whole batch at once, on tensors.

All random numbers are drawn on the CPU from the given generator, and their count does not depend on the configuration,
so that a step can be repeated bit by bit, and turning one augmentation off leaves the others as they were.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Float64, UInt8
from torch import Tensor
from torch.nn import functional as F

from hetero.data.augmentation.config import AugmentConfig

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as in Pillow's conversion of RGB to grey
_RANDOM_NUMBERS = 14
_CROP_NUMBERS = 4
_VALUES_AT_ONCE = 1 << 20


def augment(
    pixels: UInt8[Tensor, "b h w 3"],
    config: AugmentConfig,
    generator: torch.Generator,
    *,
    first: int = 0,
    count: int | None = None,
) -> Float32[Tensor, "b 3 h w"]:
    """Change every image at random.

    Args:
        pixels: RGB images on any device.
        config: Strength of the changes.
        generator: Generator on the CPU that decides all changes.
        first: Place of the first image in a batch of which these are a part: each is changed as in the whole batch.
        count: Images in that batch; None when these are all.

    Returns:
        RGB images in 0..1 on the same device.
    """
    random = _numbers(len(pixels) if count is None else count, generator)
    return augmented(pixels, config, random[:, first : first + len(pixels)])


def random_numbers(images: int, generator: torch.Generator, *, at_once: int = 0) -> Float32[Tensor, "r b"]:
    """Draw the numbers that decide the changes of so many images, and below them those that decide their crops.

    Args:
        images: Number of images.
        generator: Generator on the CPU.
        at_once: Images whose changes are drawn together, which decides the numbers; 0 for all.
    """
    step = at_once or max(1, images)
    changes = torch.cat(
        [_numbers(min(step, images - start), generator) for start in range(0, images or 1, step)], dim=1
    )
    return torch.cat([changes, torch.rand((_CROP_NUMBERS, images), generator=generator)])


def _numbers(images: int, generator: torch.Generator) -> Float32[Tensor, "r b"]:
    return torch.rand((_RANDOM_NUMBERS, images), generator=generator)


def crop_boxes(random: Float32[Tensor, "r b"], config: AugmentConfig) -> Float64[np.ndarray, "b 4"]:
    """Return the random crop of each image: ``left, top, right, bottom`` as shares of its picture's sides.

    A crop has its share of the picture's area, and the picture's shape but for the factor of ``crop_aspect``; where
    that would not fit, it is smaller.

    Args:
        random: The numbers of :func:`random_numbers`.
        config: Strength of the crops.
    """
    area, aspect, across, down = random[_RANDOM_NUMBERS:].double()
    area = _between(area, *config.crop_area)
    aspect = _between(aspect, *map(math.log, config.crop_aspect)).exp()
    sides = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()])
    sides /= sides.amax(dim=0).clamp(min=1.0)
    start = torch.stack([across, down]) * (1.0 - sides)
    return torch.cat([start, start + sides]).T.numpy()


@dataclass(frozen=True)
class Frame:
    """The input of another model, in whose coordinates changes are described: see :mod:`hetero.data.decoding.frame`.

    Attributes:
        aspect: Width over height of that input.
        ratio: float32 [b, 2], reach of each picture in that input over its reach in this one, across and down.
    """

    aspect: float
    ratio: Float32[Tensor, "b 2"]


def augmented(
    pixels: UInt8[Tensor, "b h w 3"],
    config: AugmentConfig,
    random: Float32[Tensor, "r b"],
    frame: Frame | None = None,
) -> Float32[Tensor, "b 3 h w"]:
    """Change images by the numbers of :func:`random_numbers`.

    Args:
        pixels: RGB images on any device.
        config: Strength of the changes.
        random: Random numbers of each image; crops were taken before.
        frame: The frame of another input in which the changes are described: pictures are then moved, turned and
            covered in the same way as there. None describes the changes in these images' own frame.

    Returns:
        RGB images in 0..1 on the same device.
    """
    random, (count, height, width, _) = random.to(pixels.device), pixels.shape
    if frame is None:
        frame = Frame(width / height, torch.ones((count, 2)))
    frame = Frame(frame.aspect, frame.ratio.to(pixels.device))
    # On a CPU a few images at a time stay in its caches through all changes, which takes half of the time.
    at_once = max(1, _VALUES_AT_ONCE // (3 * height * width)) if pixels.device.type == "cpu" else count
    if count <= at_once:
        return _changed(pixels, config, random, frame)
    result = torch.empty((count, 3, height, width), memory_format=torch.channels_last)
    for start in range(0, count, at_once):
        part = slice(start, start + at_once)
        result[part] = _changed(pixels[part], config, random[:, part], Frame(frame.aspect, frame.ratio[part]))
    return result


def _changed(
    pixels: UInt8[Tensor, "b h w 3"], config: AugmentConfig, random: Float32[Tensor, "r b"], frame: Frame
) -> Float32[Tensor, "b 3 h w"]:
    images = pixels.permute(0, 3, 1, 2).float().div_(255.0)
    # The images are a copy by now, so they are changed in place where possible; disabled changes cost nothing.
    images = _move(images, config, random[:5], frame)
    images = _colour(images, config, random[5:8])
    if config.blur > 0:
        is_blurred = random[8] < config.blur
        images[is_blurred] = _blurred(images[is_blurred])
    if config.erase > 0:
        images.masked_fill_(_rectangles(images, config, random[9:14], frame), config.ground / 255.0)
    return images


def _move(
    images: Float32[Tensor, "b 3 h w"], config: AugmentConfig, random: Float32[Tensor, "5 b"], frame: Frame
) -> Float32[Tensor, "b 3 h w"]:
    """Rotate, scale, shift and flip in one resampling."""
    mirrored = random[4] < config.flip
    if not (config.rotation or config.shift or config.scale != (1.0, 1.0)):
        if config.flip:
            images[mirrored] = images[mirrored].flip(3)
        return images
    angle = math.radians(config.rotation) * _either_way(random[0])
    size = _between(random[1], *config.scale)
    mirror = 1.0 - 2.0 * mirrored
    # The grid maps a place in the output to the place in the input that it is read from, hence the inverse of the
    # scale; both axes run from -1 to 1, so a rotation needs the aspect ratio.
    cos, sin = angle.cos() / size, angle.sin() / size
    # Distances in the frame are ratio times those here, so coordinates are converted there and back.
    (wide, high), aspect = frame.ratio.T, frame.aspect
    shift = 2 * config.shift
    across = torch.stack(
        [cos * mirror, -sin / aspect * mirror * high / wide, shift * _either_way(random[2]) / wide], dim=1
    )
    down = torch.stack([sin * aspect * wide / high, cos, shift * _either_way(random[3]) / high], dim=1)
    grid = _grid(torch.stack([across, down], dim=1), images.shape[2], images.shape[3])
    # Pixels outside are read as zero, which is the ground once it is subtracted.
    ground = config.ground / 255.0
    moved = F.grid_sample(images.sub_(ground), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return moved.add_(ground)


def _grid(affine: Float32[Tensor, "b 2 3"], height: int, width: int) -> Float32[Tensor, "b h w 2"]:
    """Return where each pixel is read from: ``affine_grid`` as a sum of rows and columns, at a sixth of its cost."""
    across, down = (
        (2 * torch.arange(count, device=affine.device, dtype=affine.dtype) + 1) / count - 1 for count in (width, height)
    )
    rows = (affine[:, :, 1, None] * down + affine[:, :, 2:]).transpose(1, 2).contiguous()
    columns = (affine[:, :, 0, None] * across).transpose(1, 2).contiguous()
    return rows[:, :, None] + columns[:, None]


def _colour(
    images: Float32[Tensor, "b 3 h w"], config: AugmentConfig, random: Float32[Tensor, "3 b"]
) -> Float32[Tensor, "b 3 h w"]:
    # The mean of the coloured images, because turning an image grey does not change its mean luma.
    mean = _luma(images.mean(dim=(2, 3), keepdim=True)) if config.contrast else 0.0
    if config.grey:
        is_grey = random[0] < config.grey
        images[is_grey] = _luma(images[is_grey])
    if config.brightness or config.contrast:
        brightness = 1.0 + config.brightness * _either_way(random[1]).view(-1, 1, 1, 1)
        contrast = 1.0 + config.contrast * _either_way(random[2]).view(-1, 1, 1, 1)
        # ((image - mean) * contrast + mean) * brightness, in fewer passes.
        images.mul_(contrast * brightness).add_(mean * (1.0 - contrast) * brightness).clamp_(0.0, 1.0)
    return images


def _luma(images: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b 1 h w"]:
    red, green, blue = images.split(1, dim=1)
    return (red * _LUMA[0]).add_(green, alpha=_LUMA[1]).add_(blue, alpha=_LUMA[2])


def _blurred(images: Float32[Tensor, "b 3 h w"]) -> Float32[Tensor, "b 3 h w"]:
    """Blur images by a binomial filter over 3 x 3 pixels."""
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    across = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    return (across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]) / 16


def _rectangles(
    images: Float32[Tensor, "b 3 h w"], config: AugmentConfig, random: Float32[Tensor, "5 b"], frame: Frame
) -> Tensor:
    """Return bool [b, 1, h, w], the rectangle to erase in each image, if any."""
    height, width = images.shape[2:]
    share = _between(random[1], *config.erase_area)
    aspect = torch.exp(math.log(2.0) * _either_way(random[2]))
    inside = [
        _within(count, side, place, ratio)
        for count, side, place, ratio in (
            (height, (share * aspect).sqrt(), random[3], frame.ratio[:, 1]),
            (width, (share / aspect).sqrt(), random[4], frame.ratio[:, 0]),
        )
    ]
    is_erased = (random[0] < config.erase).view(-1, 1, 1, 1)
    return inside[0][:, None, :, None] & inside[1][:, None, None, :] & is_erased


def _within(count: int, side: Tensor, place: Tensor, ratio: Tensor) -> Tensor:
    """Return bool [b, count], pixels centred in an interval of length ``side`` at share ``place`` of the free range."""
    centre = (torch.arange(count, device=side.device) + 0.5) / count
    in_frame = torch.where(ratio[:, None] == 1, centre, 0.5 + (centre - 0.5) * ratio[:, None])
    start = place * (1.0 - side).clamp(min=0.0)
    return (in_frame >= start[:, None]) & (in_frame < (start + side)[:, None])


def _either_way(random: Tensor) -> Tensor:
    return 2.0 * random - 1.0


def _between(random: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * random
