"""Parts of an array."""

from __future__ import annotations

import numpy as np

from device_tests.runtimes.coreml.operators.batching import Call, along_first, not_over
from device_tests.runtimes.coreml.operators.registry import Array, Unsupported, operator
from device_tests.runtimes.coreml.operators.shapes import require_shape
from device_tests.runtimes.coreml.types import TensorType

Ints = tuple[int, ...]
Flags = tuple[bool, ...]


def _takes_the_image_whole(call: Call) -> bool:
    constants = call.constants
    return (
        call.only("x")
        and along_first(call)
        and not constants.get("squeeze_mask", (False,))[0]
        and constants.get("stride", (1,))[0] == 1
        and (constants.get("begin_mask", (False,))[0] or constants.get("begin", (1,))[0] == 0)
    )


@operator(batch=_takes_the_image_whole, exact=True)
def slice_by_index(
    x: Array,
    begin: Ints,
    end: Ints,
    stride: Ints | None = None,
    begin_mask: Flags | None = None,
    end_mask: Flags | None = None,
    squeeze_mask: Flags | None = None,
    *,
    batch: int,
) -> Array:
    """Slice from ``begin`` to before ``end``; a mask ignores a bound, or takes one index and drops the axis."""
    rank = x.ndim
    steps, no = stride or (1,) * rank, (False,) * rank
    open_start, open_end, squeezed = begin_mask or no, end_mask or no, squeeze_mask or no
    if {len(begin), len(end), len(steps), len(open_start), len(open_end), len(squeezed)} != {rank} or 0 in steps:
        raise ValueError(f"its bounds do not fit {list(x.shape)}")
    index: list[slice | int] = []
    for axis in range(rank):
        if batch > 1 and axis == 0:
            index.append(slice(None))
        elif squeezed[axis]:
            index.append(0 if open_start[axis] else begin[axis])
        else:
            start, stop = None if open_start[axis] else begin[axis], None if open_end[axis] else end[axis]
            index.append(slice(start, stop, steps[axis]))
    return np.asarray(x[tuple(index)])


def _whole(indices: Array, size: int) -> Array:
    if indices.size and not (indices.min() >= -size and indices.max() < size):
        raise ValueError(f"an index is outside of {size}")
    return np.where(indices < 0, indices + size, indices).astype(np.int64)


@operator(batch=lambda call: call.only("x") and not_over("axis", default=0)(call))
def gather(
    x: Array,
    indices: Array,
    axis: int = 0,
    batch_dims: int = 0,
    validate_indices: bool = False,
    *,
    expected: TensorType,
) -> Array:
    """Select along an axis by index; negative ones count from the end."""
    if batch_dims:
        raise Unsupported("batch_dims")
    along = axis % x.ndim
    require_shape((*x.shape[:along], *indices.shape, *x.shape[along + 1 :]), expected)
    return np.take(x, _whole(indices, x.shape[along]), along)


@operator()
def gather_along_axis(x: Array, indices: Array, axis: int = 0, validate_indices: bool = False) -> Array:
    """Return, for each entry of ``indices``, the number at that index along an axis."""
    return np.take_along_axis(x, _whole(indices, x.shape[axis]), axis)


@operator()
def gather_nd(
    x: Array, indices: Array, batch_dims: int = 0, validate_indices: bool = False, *, expected: TensorType
) -> Array:
    """Select parts by the indices of their first axes: ``indices`` [..., k] gives [..., *x.shape[k:]]."""
    if batch_dims:
        raise Unsupported("batch_dims")
    depth = indices.shape[-1]
    require_shape((*indices.shape[:-1], *x.shape[depth:]), expected)
    return np.asarray(x[tuple(_whole(indices[..., axis], x.shape[axis]) for axis in range(depth))])


@operator()
def band_part(x: Array, lower: int = -1, upper: int = -1) -> Array:
    """Set the last two axes to zero outside of a band around the diagonal; -1 keeps a whole side."""
    rows, columns = np.arange(x.shape[-2])[:, None], np.arange(x.shape[-1])
    band = ((lower < 0) | (rows - columns <= lower)) & ((upper < 0) | (columns - rows <= upper))
    return np.where(band, x, x.dtype.type(0))
