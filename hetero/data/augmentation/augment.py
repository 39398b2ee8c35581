"""Augmentation of a whole batch at once, on tensors.

Every random number is drawn on the CPU from the generator given, the same count whatever the configuration says, so
that a step can be repeated bit by bit, and turning one augmentation off leaves the others as they were.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch.nn import functional as F

from hetero.data.augmentation.config import AugmentConfig

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow turns RGB to grey
_RANDOM_NUMBERS = 14


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
        config: How much.
        generator: On the CPU; decides everything.
        first: Where the images stand in a batch of which they are a part: each is changed as it is in the whole.
        count: Images in that batch; None when these are all.

    Returns:
        RGB images in 0..1 on the same device.
    """
    drawn = random_numbers(len(pixels) if count is None else count, generator)
    return augmented(pixels, config, drawn[:, first : first + len(pixels)])


def random_numbers(images: int, generator: torch.Generator) -> Float32[Tensor, "r b"]:
    """What decides how each of so many images is changed."""
    return torch.rand((_RANDOM_NUMBERS, images), generator=generator)


@dataclass(frozen=True)
class Frame:
    """Another input of the same pictures, in which changes are described: see :mod:`hetero.data.decoding.frame`.

    Attributes:
        aspect: Its width over its height.
        ratio: float32 [b, 2], how far each picture reaches there over how far it reaches here, across and down.
    """

    aspect: float
    ratio: Float32[Tensor, "b 2"]


def augmented(
    pixels: UInt8[Tensor, "b h w 3"],
    config: AugmentConfig,
    random: Float32[Tensor, "r b"],
    frame: Frame | None = None,
) -> Float32[Tensor, "b 3 h w"]:
    """Change images as :func:`random_numbers` says.

    Args:
        pixels: RGB images on any device.
        config: How much.
        random: Of each image.
        frame: Where the changes are described, when that is another input: pictures are then moved, turned and covered
            as they are there. None describes them in these images' own frame.

    Returns:
        RGB images in 0..1 on the same device.
    """
    random = random.to(pixels.device)
    images = pixels.permute(0, 3, 1, 2).float().div_(255.0)
    own = Frame(images.shape[3] / images.shape[2], images.new_ones((len(images), 2)))
    frame = own if frame is None else Frame(frame.aspect, frame.ratio.to(images))
    # From here on the images are nobody else's: what can be is changed in place, and what is off costs nothing.
    images = _move(images, config, random[:5], frame)
    images = _colour(images, config, random[5:8])
    if config.blur > 0:
        chosen = random[8] < config.blur
        images[chosen] = _blurred(images[chosen])
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
    # From a place in the output to where it is read in the input, hence the inverse of the scale; both axes
    # run from -1 to 1, so that a rotation needs the aspect ratio.
    cos, sin = angle.cos() / size, angle.sin() / size
    # In the frame it is ratio times as far as here: there and back again.
    (wide, high), aspect = frame.ratio.T, frame.aspect
    shift = 2 * config.shift
    across = torch.stack(
        [cos * mirror, -sin / aspect * mirror * high / wide, shift * _either_way(random[2]) / wide], dim=1
    )
    down = torch.stack([sin * aspect * wide / high, cos, shift * _either_way(random[3]) / high], dim=1)
    grid = F.affine_grid(torch.stack([across, down], dim=1), list(images.shape), align_corners=False)
    # What lies outside is read as zero: the ground, after subtracting it.
    ground = config.ground / 255.0
    moved = F.grid_sample(images.sub_(ground), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return moved.add_(ground)


def _colour(
    images: Float32[Tensor, "b 3 h w"], config: AugmentConfig, random: Float32[Tensor, "3 b"]
) -> Float32[Tensor, "b 3 h w"]:
    # Of the colours: taking them away changes no image's mean luma.
    mean = _luma(images.mean(dim=(2, 3), keepdim=True)) if config.contrast else 0.0
    if config.grey:
        chosen = random[0] < config.grey
        images[chosen] = _luma(images[chosen])
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
    """A binomial blur over 3 x 3 pixels."""
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    across = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    return (across[..., :-2, :] + 2 * across[..., 1:-1, :] + across[..., 2:, :]) / 16


def _rectangles(
    images: Float32[Tensor, "b 3 h w"], config: AugmentConfig, random: Float32[Tensor, "5 b"], frame: Frame
) -> Tensor:
    """Bool [b, 1, h, w]: the rectangle that each chosen image loses."""
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
    chosen = (random[0] < config.erase).view(-1, 1, 1, 1)
    return inside[0][:, None, :, None] & inside[1][:, None, None, :] & chosen


def _within(count: int, side: Tensor, place: Tensor, ratio: Tensor) -> Tensor:
    """Bool [b, count]: pixels whose centre lies in an interval of length ``side`` at ``place`` of what is left."""
    centre = (torch.arange(count, device=side.device) + 0.5) / count
    there = torch.where(ratio[:, None] == 1, centre, 0.5 + (centre - 0.5) * ratio[:, None])
    start = place * (1.0 - side).clamp(min=0.0)
    return (there >= start[:, None]) & (there < (start + side)[:, None])


def _either_way(random: Tensor) -> Tensor:
    return 2.0 * random - 1.0


def _between(random: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * random
