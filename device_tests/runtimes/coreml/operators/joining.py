"""Joining and splitting arrays, and padding."""

from __future__ import annotations

from typing import Literal

import numpy as np

from device_tests.runtimes.coreml.operators.batching import Call, along_first, not_over
from device_tests.runtimes.coreml.operators.registry import Array, operator
from device_tests.runtimes.coreml.operators.shapes import padded, require_shape
from device_tests.runtimes.coreml.types import TensorType

Ints = tuple[int, ...]


def _all_batched(call: Call) -> bool:
    # A constant part would have to be repeated for every image first.
    return len(call.batched) == len(call.shapes)


@operator(batch=lambda call: _all_batched(call) and not_over("axis", default=0)(call))
def concat(values: tuple[Array, ...], axis: int, interleave: bool = False) -> Array:
    """Concatenate along an axis, or interleave entry by entry."""
    if not interleave:
        return np.concatenate(values, axis)
    if len({value.shape for value in values}) > 1:
        raise ValueError(f"arrays of {[list(value.shape) for value in values]} cannot take turns")
    shape = list(values[0].shape)
    shape[axis] *= len(values)
    return np.stack(values, axis % len(shape) + 1).reshape(shape)


@operator(batch=lambda call: _all_batched(call) and call.constants["axis"] % len(call.outputs[0]) != 0)
def stack(values: tuple[Array, ...], axis: int) -> Array:
    """Stack along a new axis."""
    return np.stack(values, axis)


@operator(batch=not_over("axis", default=0))
def split(x: Array, axis: int, num_splits: int | None = None, split_sizes: Ints | None = None) -> tuple[Array, ...]:
    """Split into parts of equal or of given sizes along an axis."""
    sizes = split_sizes
    if sizes is None:
        if num_splits is None or num_splits < 1 or x.shape[axis] % num_splits:
            raise ValueError(f"{list(x.shape)} cannot be split into {num_splits} parts")
        sizes = (x.shape[axis] // num_splits,) * num_splits
    if sum(sizes) != x.shape[axis] or min(sizes) < 0:
        raise ValueError(f"parts of {list(sizes)} do not make up {x.shape[axis]}")
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis))


@operator(
    batch=lambda call: "x" in call.batched and call.constants.get("reps", (2,))[0] == 1 and call.shapes["x"][0] == 1
)
def tile(x: Array, reps: Ints, *, expected: TensorType) -> Array:
    """Repeat along each axis."""
    if len(reps) != x.ndim or min(reps, default=1) < 1:
        raise ValueError(f"{list(reps)} repetitions do not fit {list(x.shape)}")
    require_shape(tuple(size * times for size, times in zip(x.shape, reps, strict=True)), expected)
    return np.tile(x, reps)


def _pads_inside(call: Call) -> bool:
    pad = call.constants.get("pad")
    inside = pad is not None and (len(pad) < 2 * len(call.shapes["x"]) or not any(pad[:2]))
    return along_first(call) and inside


@operator(batch=_pads_inside, exact=True)
def pad(
    x: Array,
    pad: Ints,
    mode: Literal["constant", "reflect", "replicate"] = "constant",
    constant_val: float = 0.0,
    *,
    expected: TensorType,
) -> Array:
    """Pad both ends of the last axes; ``pad`` holds pairs for these, the last pair for the last axis."""
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2) + [(pad[at], pad[at + 1]) for at in range(0, len(pad) - 1, 2)]
    if len(pad) % 2 or len(pairs) != x.ndim or min(pad, default=0) < 0:
        raise ValueError(f"the padding {list(pad)} does not fit {list(x.shape)}")
    require_shape(tuple(size + sum(pair) for size, pair in zip(x.shape, pairs, strict=True)), expected)
    if mode == "constant":
        return padded(x, pairs, constant_val)
    if mode == "reflect" and any(max(pair) >= size for size, pair in zip(x.shape, pairs, strict=True) if any(pair)):
        raise ValueError(f"the padding {list(pad)} reflects more than {list(x.shape)} holds")
    return np.pad(x, pairs, mode="reflect" if mode == "reflect" else "edge")
