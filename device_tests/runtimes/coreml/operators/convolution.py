"""Convolutions, as matrix products.

Results are stored with the channels first, then the images: their shape is ``[n, c, ...]``, their memory layout
``[c, n, ...]``. Elementwise operators keep that layout, so that the next convolution finds all images of a channel
side by side and needs one matrix product for the whole batch.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from device_tests.runtimes.coreml.operators.batching import along_first
from device_tests.runtimes.coreml.operators.depthwise import depthwise, suits_depthwise
from device_tests.runtimes.coreml.operators.registry import Array, Unsupported, operator
from device_tests.runtimes.coreml.operators.shapes import Padding, padded, require_shape, window_padding
from device_tests.runtimes.coreml.types import TensorType

Ints = tuple[int, ...]


@operator("conv", batch=along_first)
def conv(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    strides: Ints | None = None,
    pad_type: Padding = "valid",
    pad: Ints | None = None,
    dilations: Ints | None = None,
    groups: int = 1,
    *,
    expected: TensorType,
    memo: dict[Any, Any],
) -> Array:
    """Cross-correlate: ``x`` [n, c, *sizes], ``weight`` [o, c / groups, *kernel], ``bias`` [o]."""
    rank = _require_ranks(x, weight, groups)
    strides, dilations = strides or (1,) * rank, dilations or (1,) * rank
    kernel = weight.shape[2:]
    if (
        weight.shape[1] * groups != x.shape[1]
        or weight.shape[0] % groups
        or len(dilations) != rank
        or min(dilations) < 1
    ):
        raise ValueError(f"the weights {list(weight.shape)} do not fit {list(x.shape)} in {groups} groups")
    extents = tuple((size - 1) * step + 1 for size, step in zip(kernel, dilations, strict=True))
    padding = window_padding(pad_type, pad, x.shape[2:], extents, strides)
    sizes = tuple(
        (size + before + after - extent) // stride + 1
        for size, (before, after), extent, stride in zip(x.shape[2:], padding, extents, strides, strict=True)
    )
    require_shape((x.shape[0], weight.shape[0], *sizes), expected)
    if suits_depthwise(weight, groups, dilations):
        result = depthwise(x, weight, strides, padding, sizes, memo)
    else:
        columns = _columns(x, kernel, strides, dilations, padding, sizes)
        result = _grouped_product(weight.reshape(weight.shape[0], -1), columns, groups)
        result = result.reshape(weight.shape[0], x.shape[0], *sizes)
    return _add_bias(result, bias).swapaxes(0, 1)


@operator("conv_transpose", batch=along_first)
def conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    pad: Ints | None = None,
    output_shape: Ints | None = None,
    pad_type: Literal["valid", "same", "custom"] = "valid",
    strides: Ints | None = None,
    dilations: Ints | None = None,
    groups: int = 1,
    *,
    expected: TensorType,
) -> Array:
    """Apply the transpose of :func:`conv`: ``x`` [n, c, *sizes], ``weight`` [c, o / groups, *kernel], ``bias`` [o]."""
    rank = _require_ranks(x, weight, groups)
    strides, dilations = strides or (1,) * rank, dilations or (1,) * rank
    if weight.shape[0] != x.shape[1] or len(strides) != rank or len(dilations) != rank or min(*strides, *dilations) < 1:
        raise ValueError(f"the weights {list(weight.shape)} do not fit {list(x.shape)}")
    kernel, channels = weight.shape[2:], weight.shape[1] * groups
    full = tuple(
        (size - 1) * stride + (taps - 1) * step + 1
        for size, stride, taps, step in zip(x.shape[2:], strides, kernel, dilations, strict=True)
    )
    starts, sizes = _cropping(pad_type, pad, x.shape[2:], full, strides, output_shape)
    require_shape((x.shape[0], channels, *sizes), expected)
    if math.prod(full) > 4 * math.prod(sizes) + (1 << 20):
        raise ValueError(f"it computes {list(full)} to keep {list(sizes)}")
    planes = x.swapaxes(0, 1).reshape(groups, x.shape[1] // groups, -1)
    matrix = weight.reshape(groups, x.shape[1] // groups, -1).transpose(0, 2, 1)
    taps = np.matmul(matrix, planes).reshape(channels, *kernel, x.shape[0], *x.shape[2:])
    # Room for a crop that extends beyond what the kernel writes.
    room = tuple(max(have, start + size) for have, start, size in zip(full, starts, sizes, strict=True))
    full_result = np.zeros((channels, x.shape[0], *room), np.float32)
    for tap in np.ndindex(kernel):
        places = tuple(
            slice(at * step, at * step + (size - 1) * stride + 1, stride)
            for at, step, size, stride in zip(tap, dilations, x.shape[2:], strides, strict=True)
        )
        full_result[(slice(None), slice(None), *places)] += taps[(slice(None), *tap)]
    crop = tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))
    return _add_bias(full_result[(slice(None), slice(None), *crop)], bias).swapaxes(0, 1)


def _cropping(
    pad_type: str, pad: Ints | None, sizes: Ints, full: Ints, strides: Ints, output_shape: Ints | None
) -> tuple[Ints, Ints]:
    """Return start and size of the crop of the full result."""
    rank = len(sizes)
    if pad_type == "same":
        cropped = tuple(size * stride for size, stride in zip(sizes, strides, strict=True))
        # The documentation defines the split of an even excess only.
        if any(size < keep or (size - keep) % 2 for size, keep in zip(full, cropped, strict=True)):
            raise Unsupported("'same' padding that is not symmetric")
        return tuple((size - keep) // 2 for size, keep in zip(full, cropped, strict=True)), cropped
    pairs = pad if pad_type == "custom" and pad is not None else (0,) * (2 * rank)
    if len(pairs) != 2 * rank or min(pairs) < 0:
        raise ValueError(f"the padding {list(pairs)} does not fit {rank} dimensions")
    cropped = tuple(size - pairs[2 * axis] - pairs[2 * axis + 1] for axis, size in enumerate(full))
    if output_shape is not None:
        requested = output_shape[2:]
        # PyTorch's output padding: the result extends beyond the end by less than a stride.
        if len(requested) != rank or any(
            not 0 <= want - have < max(stride, 2)
            for want, have, stride in zip(requested, cropped, strides, strict=True)
        ):
            raise ValueError(f"the output shape {list(output_shape)} does not follow from {list(cropped)}")
        cropped = requested
    if min(cropped) < 1:
        raise ValueError(f"nothing is left of {list(full)}")
    return tuple(pairs[2 * axis] for axis in range(rank)), cropped


def _require_ranks(x: Array, weight: Array, groups: int) -> int:
    rank = x.ndim - 2
    if not 1 <= rank <= 3 or weight.ndim != x.ndim or groups < 1 or x.shape[1] % groups or 0 in weight.shape:
        raise ValueError(f"the weights {list(weight.shape)} do not fit {list(x.shape)} in {groups} groups")
    return rank


def _columns(
    x: Array, kernel: Ints, strides: Ints, dilations: Ints, padding: list[tuple[int, int]], sizes: Ints
) -> Array:
    """Return [c, taps, n * positions]: the input to each tap of the kernel at each position."""
    channels = x.swapaxes(0, 1)
    if math.prod(kernel) == 1 and not any(map(any, padding)):
        steps = tuple(slice(None, None, stride) for stride in strides)
        return channels[(slice(None), slice(None), *steps)].reshape(x.shape[1], 1, -1)
    if any(map(any, padding)):
        channels = padded(channels, [(0, 0), (0, 0), *padding])
    columns = np.empty((x.shape[1], math.prod(kernel), x.shape[0], *sizes), np.float32)
    for index, tap in enumerate(np.ndindex(kernel)):
        places = tuple(
            slice(at * step, at * step + (size - 1) * stride + 1, stride)
            for at, step, size, stride in zip(tap, dilations, sizes, strides, strict=True)
        )
        columns[:, index] = channels[(slice(None), slice(None), *places)]
    return columns.reshape(x.shape[1], math.prod(kernel), -1)


def _grouped_product(weight: Array, columns: Array, groups: int) -> Array:
    """Return [o, positions] of ``weight`` [o, c / groups * taps] and ``columns`` [c, taps, positions]."""
    inner = weight.shape[1]
    if groups == 1:
        return weight @ columns.reshape(inner, -1)
    product = np.matmul(weight.reshape(groups, -1, inner), columns.reshape(groups, inner, -1))
    return product.reshape(weight.shape[0], -1)


def _add_bias(result: Array, bias: Array | None) -> Array:
    if bias is None:
        return result
    if bias.shape != result.shape[:1]:
        raise ValueError(f"the bias {list(bias.shape)} does not fit {result.shape[0]} channels")
    result += bias.reshape(-1, *(1,) * (result.ndim - 1))
    return result
