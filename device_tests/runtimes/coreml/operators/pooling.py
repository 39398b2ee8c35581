"""Pooling."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from device_tests.runtimes.coreml.operators.batching import along_first
from device_tests.runtimes.coreml.operators.registry import Array, Unsupported, operator
from device_tests.runtimes.coreml.operators.shapes import Padding, padded, require_shape, window_padding
from device_tests.runtimes.coreml.types import TensorType

Ints = tuple[int, ...]


@operator("max_pool", batch=along_first, exact=True)
def max_pool(
    x: Array,
    kernel_sizes: Ints,
    pad_type: Padding,
    strides: Ints | None = None,
    pad: Ints | None = None,
    ceil_mode: bool = False,
    *,
    expected: TensorType,
) -> Array:
    """Return the largest value in each window of ``x`` [n, c, *sizes]; padding never wins."""
    windows = _Windows(x, kernel_sizes, strides, pad_type, pad, ceil_mode, expected)
    return windows.reduce(x, -np.inf, np.maximum)


@operator("avg_pool", batch=along_first)
def avg_pool(
    x: Array,
    kernel_sizes: Ints,
    pad_type: Padding,
    strides: Ints | None = None,
    pad: Ints | None = None,
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
    *,
    expected: TensorType,
) -> Array:
    """Return the mean of each window of ``x`` [n, c, *sizes].

    Padding counts as zeros, or not at all. Values that ``ceil_mode`` reaches beyond the padding never count.
    """
    windows = _Windows(x, kernel_sizes, strides, pad_type, pad, ceil_mode, expected)
    return windows.reduce(x, 0.0, np.add) / windows.counts(with_padding=not exclude_padding_from_average)


class _Windows:
    """The positions of a pool's windows."""

    def __init__(
        self,
        x: Array,
        kernel: Ints,
        strides: Ints | None,
        pad_type: Padding,
        pad: Ints | None,
        ceil_mode: bool,
        expected: TensorType,
    ) -> None:
        rank = x.ndim - 2
        if not 1 <= rank <= 3 or len(kernel) != rank:
            raise ValueError(f"windows of {list(kernel)} do not fit {list(x.shape)}")
        self._inner, self._kernel, self._strides = x.shape[2:], kernel, strides or (1,) * rank
        self._padding = window_padding(pad_type, pad, self._inner, kernel, self._strides)
        if ceil_mode and (pad_type.startswith("same") or any(before != after for before, after in self._padding)):
            raise Unsupported("ceil_mode with padding that is not symmetric")
        self._sizes = tuple(
            self._length(axis, ceil_mode)  # one axis after the other
            for axis in range(rank)
        )
        require_shape((*x.shape[:2], *self._sizes), expected)
        if math.prod(kernel) > 1 << 20 or min(self._sizes) < 1:
            raise ValueError(f"windows of {list(kernel)} do not fit {list(x.shape)}")

    def reduce(self, x: Array, padding: float, combine: Callable[..., Array]) -> Array:
        """Combine the values of each window; [n, c, *positions]."""
        return self._slide(self._padded(x, padding), combine)

    def counts(self, *, with_padding: bool) -> Array:
        """Return the number of values in each window's mean; [*positions]."""
        inner = np.ones(self._inner, np.float32)
        if with_padding:
            inner = padded(inner, self._padding, 1.0)
            around = padded(inner, [(0, extra) for extra in self._beyond()])
        else:
            around = self._padded(inner[None, None], 0.0)[0, 0]
        return self._slide(around[None, None], np.add)[0, 0]

    def _length(self, axis: int, ceil_mode: bool) -> int:
        before, after = self._padding[axis]
        reach = self._inner[axis] + before + after - self._kernel[axis]
        if reach < 0:
            return 0
        if not ceil_mode:
            return reach // self._strides[axis] + 1
        length = -(-reach // self._strides[axis]) + 1
        # A window must not start beyond the end.
        if before + after > 0 and (length - 1) * self._strides[axis] >= self._inner[axis] + before:
            length -= 1
        return length

    def _beyond(self) -> list[int]:
        """Return how far the last windows extend beyond the padding."""
        return [
            max(0, (length - 1) * stride + extent - size - before - after)
            for length, stride, extent, size, (before, after) in zip(
                self._sizes, self._strides, self._kernel, self._inner, self._padding, strict=True
            )
        ]

    def _padded(self, x: Array, value: float) -> Array:
        sides = [(before, after + extra) for (before, after), extra in zip(self._padding, self._beyond(), strict=True)]
        if not any(map(any, sides)):
            return x
        return padded(x, [(0, 0), (0, 0), *sides], value)

    def _slide(self, around: Array, combine: Callable[..., Array]) -> Array:
        # One dimension after the other: as many steps as the sum of the kernel's sides, not their product.
        result = around
        for axis, (extent, stride, length) in enumerate(zip(self._kernel, self._strides, self._sizes, strict=True)):
            index: list[slice] = [slice(None)] * result.ndim
            total: Array | None = None
            for tap in range(extent):
                index[axis + 2] = slice(tap, tap + (length - 1) * stride + 1, stride)
                window = result[tuple(index)]
                total = window.copy("K") if total is None else combine(total, window, out=total)
            assert total is not None
            result = total
        return result
