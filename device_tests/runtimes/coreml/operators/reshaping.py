"""The same numbers in another shape or order."""

from __future__ import annotations

import math

import numpy as np

from device_tests.runtimes.coreml.operators.batching import Call, along_first, not_over
from device_tests.runtimes.coreml.operators.registry import Array, operator
from device_tests.runtimes.coreml.operators.shapes import require_axes, require_shape
from device_tests.runtimes.coreml.types import TensorType

Ints = tuple[int, ...]


def _keeps_images_apart(call: Call) -> bool:
    # Rows remain rows per image if both first axes have length one.
    return along_first(call) and "x" in call.batched and bool(call.constants.get("shape", (1,))[0] in (0, 1, -1))


@operator(batch=_keeps_images_apart, exact=True)
def reshape(x: Array, shape: Ints, *, expected: TensorType, batch: int) -> Array:
    """Change the shape; 0 keeps a size, -1 stands for the remaining one."""
    if any(size < -1 for size in shape) or shape.count(-1) > 1 or (0 in shape and len(shape) != x.ndim):
        raise ValueError(f"{list(shape)} is no shape for {list(x.shape)}")
    sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    if batch > 1 and shape[0] == 1:
        sizes[0] = batch
    if -1 in sizes:
        product = math.prod(size for size in sizes if size != -1)
        sizes[sizes.index(-1)] = x.size // max(1, product)
    require_shape(tuple(sizes), expected)
    return x.reshape(sizes)


def _first_stays(call: Call) -> bool:
    perm = call.constants.get("perm", ())
    return along_first(call) and bool(perm) and perm[0] % len(perm) == 0


@operator(batch=_first_stays, exact=True)
def transpose(x: Array, perm: Ints) -> Array:
    """Reorder the axes."""
    return x.transpose(require_axes(perm, x.ndim))


def _not_before_the_first(call: Call) -> bool:
    axes, rank = call.constants.get("axes", (0,)), len(call.outputs[0])
    return along_first(call) and all(axis % rank != 0 for axis in axes)


@operator(batch=_not_before_the_first, exact=True)
def expand_dims(x: Array, axes: Ints) -> Array:
    """Insert axes of length one, counted in the result."""
    return np.expand_dims(x, require_axes(axes, x.ndim + len(axes)))


@operator(batch=not_over("axes", default=None), exact=True)
def squeeze(x: Array, axes: Ints | None = None) -> Array:
    """Remove some axes of length one, or all."""
    return np.squeeze(x, None if axes is None else require_axes(axes, x.ndim))


@operator(batch=not_over("axes", default=None), exact=True)
def reverse(x: Array, axes: Ints | None = None) -> Array:
    """Reverse some axes, or all."""
    return np.flip(x, None if axes is None else require_axes(axes, x.ndim))


@operator("pixel_shuffle", batch=along_first, exact=True)
def pixel_shuffle(x: Array, upscale_factor: int) -> Array:
    """Move channels to blocks of pixels, the channel before the pixel: [n, c * f * f, h, w] to [n, c, h * f, w * f]."""
    n, c, h, w = _channels(x, upscale_factor)
    blocks = x.reshape(n, c // upscale_factor**2, upscale_factor, upscale_factor, h, w)
    return blocks.transpose(0, 1, 4, 2, 5, 3).reshape(n, -1, h * upscale_factor, w * upscale_factor)


@operator("pixel_unshuffle", batch=along_first, exact=True)
def pixel_unshuffle(x: Array, downscale_factor: int) -> Array:
    """Invert :func:`pixel_shuffle`."""
    n, c, h, w = _blocks(x, downscale_factor)
    blocks = x.reshape(n, c, h // downscale_factor, downscale_factor, w // downscale_factor, downscale_factor)
    return blocks.transpose(0, 1, 3, 5, 2, 4).reshape(n, -1, h // downscale_factor, w // downscale_factor)


def _blocks(x: Array, side: int) -> Ints:
    if x.ndim != 4 or side < 1 or x.shape[2] % side or x.shape[3] % side:
        raise ValueError(f"{list(x.shape)} has no blocks of {side}")
    return x.shape


def _channels(x: Array, side: int) -> Ints:
    if x.ndim != 4 or side < 1 or x.shape[1] % side**2:
        raise ValueError(f"{list(x.shape)} has no channels for blocks of {side}")
    return x.shape
