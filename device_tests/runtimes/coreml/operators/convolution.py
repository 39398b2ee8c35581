"""Convolutions, as matrix products.

Results are laid out in memory with the channels first, then the images: seen as ``[n, c, ...]``, held as
``[c, n, ...]``. Elementwise operators keep that order, so that the next convolution finds all images of a channel side
by side and needs one matrix product for the whole batch.
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
    """Cross-correlation: ``x`` [n, c, *sizes], ``weight`` [o, c / groups, *kernel], ``bias`` [o]."""
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
        made = depthwise(x, weight, strides, padding, sizes, memo)
    else:
        columns = _columns(x, kernel, strides, dilations, padding, sizes)
        made = _grouped_product(weight.reshape(weight.shape[0], -1), columns, groups)
        made = made.reshape(weight.shape[0], x.shape[0], *sizes)
    return _add_bias(made, bias).swapaxes(0, 1)


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
    """The transpose of :func:`conv`: ``x`` [n, c, *sizes], ``weight`` [c, o / groups, *kernel], ``bias`` [o]."""
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
    # Room for a crop that reaches beyond what the kernel writes.
    room = tuple(max(have, start + size) for have, start, size in zip(full, starts, sizes, strict=True))
    made = np.zeros((channels, x.shape[0], *room), np.float32)
    for tap in np.ndindex(kernel):
        places = tuple(
            slice(at * step, at * step + (size - 1) * stride + 1, stride)
            for at, step, size, stride in zip(tap, dilations, x.shape[2:], strides, strict=True)
        )
        made[(slice(None), slice(None), *places)] += taps[(slice(None), *tap)]
    kept = tuple(slice(start, start + size) for start, size in zip(starts, sizes, strict=True))
    return _add_bias(made[(slice(None), slice(None), *kept)], bias).swapaxes(0, 1)


def _cropping(
    pad_type: str, pad: Ints | None, sizes: Ints, full: Ints, strides: Ints, output_shape: Ints | None
) -> tuple[Ints, Ints]:
    """Where the kept part of the full result starts, and how large it is."""
    rank = len(sizes)
    if pad_type == "same":
        kept = tuple(size * stride for size, stride in zip(sizes, strides, strict=True))
        # How the excess is split is documented for an even one only.
        if any(size < keep or (size - keep) % 2 for size, keep in zip(full, kept, strict=True)):
            raise Unsupported("'same' padding that is not symmetric")
        return tuple((size - keep) // 2 for size, keep in zip(full, kept, strict=True)), kept
    pairs = pad if pad_type == "custom" and pad is not None else (0,) * (2 * rank)
    if len(pairs) != 2 * rank or min(pairs) < 0:
        raise ValueError(f"the padding {list(pairs)} does not fit {rank} dimensions")
    kept = tuple(size - pairs[2 * axis] - pairs[2 * axis + 1] for axis, size in enumerate(full))
    if output_shape is not None:
        asked = output_shape[2:]
        # PyTorch's output padding: the result goes on after the end, by less than a stride.
        if len(asked) != rank or any(
            not 0 <= want - have < max(stride, 2) for want, have, stride in zip(asked, kept, strides, strict=True)
        ):
            raise ValueError(f"the output shape {list(output_shape)} does not follow from {list(kept)}")
        kept = asked
    if min(kept) < 1:
        raise ValueError(f"nothing is left of {list(full)}")
    return tuple(pairs[2 * axis] for axis in range(rank)), kept


def _require_ranks(x: Array, weight: Array, groups: int) -> int:
    rank = x.ndim - 2
    if not 1 <= rank <= 3 or weight.ndim != x.ndim or groups < 1 or x.shape[1] % groups or 0 in weight.shape:
        raise ValueError(f"the weights {list(weight.shape)} do not fit {list(x.shape)} in {groups} groups")
    return rank


def _columns(
    x: Array, kernel: Ints, strides: Ints, dilations: Ints, padding: list[tuple[int, int]], sizes: Ints
) -> Array:
    """[c, taps, n * places]: what each tap of the kernel sees at each place."""
    channels = x.swapaxes(0, 1)
    if math.prod(kernel) == 1 and not any(map(any, padding)):
        steps = tuple(slice(None, None, stride) for stride in strides)
        return channels[(slice(None), slice(None), *steps)].reshape(x.shape[1], 1, -1)
    if any(map(any, padding)):
        channels = padded(channels, [(0, 0), (0, 0), *padding])
    made = np.empty((x.shape[1], math.prod(kernel), x.shape[0], *sizes), np.float32)
    for index, tap in enumerate(np.ndindex(kernel)):
        places = tuple(
            slice(at * step, at * step + (size - 1) * stride + 1, stride)
            for at, step, size, stride in zip(tap, dilations, sizes, strides, strict=True)
        )
        made[:, index] = channels[(slice(None), slice(None), *places)]
    return made.reshape(x.shape[1], math.prod(kernel), -1)


def _grouped_product(weight: Array, columns: Array, groups: int) -> Array:
    """[o, places] of ``weight`` [o, c / groups * taps] and ``columns`` [c, taps, places]."""
    inner = weight.shape[1]
    if groups == 1:
        return weight @ columns.reshape(inner, -1)
    made = np.matmul(weight.reshape(groups, -1, inner), columns.reshape(groups, inner, -1))
    return made.reshape(weight.shape[0], -1)


def _add_bias(made: Array, bias: Array | None) -> Array:
    if bias is None:
        return made
    if bias.shape != made.shape[:1]:
        raise ValueError(f"the bias {list(bias.shape)} does not fit {made.shape[0]} channels")
    made += bias.reshape(-1, *(1,) * (made.ndim - 1))
    return made
