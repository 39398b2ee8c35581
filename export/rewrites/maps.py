"""Operators on feature maps in terms of others: pools, resizes, paddings, transposed convolutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from export.rewrites.rewriting import Number, Rewrite, constant, shape_of

_aten: Any = torch.ops.aten
_MOST_SHIFTS = 25


def avg_pool2d(
    x: Any,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    ceil: bool = False,
    counts_padding: bool = True,
    divisor: int | None = None,
) -> Any:
    """Pool the padded map plainly, times what each window divides by instead."""
    if divisor is None and (counts_padding or not any(padding)):
        return NotImplemented
    ones = torch.ones(1, 1, *shape_of(x)[-2:])
    shares = _aten.avg_pool2d(ones, kernel, stride, padding, ceil, counts_padding, divisor)
    steps = stride or kernel
    behind = [
        max(0, (count - 1) * step + size - side - before)
        for count, step, size, side, before in zip(
            shares.shape[-2:], steps, kernel, ones.shape[-2:], padding, strict=True
        )
    ]

    def pool(given: Any) -> Any:
        padded = functional.pad(given, (padding[1], behind[1], padding[0], behind[0]))
        return functional.avg_pool2d(padded, tuple(kernel), tuple(steps))

    return pool(x) * constant(shares / pool(ones), x)


def max_pool2d(
    x: Any,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil: bool = False,
) -> Any:
    """Take the maximum over shifted copies, for windows with gaps."""
    if all(gap == 1 for gap in dilation) or ceil or kernel[0] * kernel[1] > _MOST_SHIFTS:
        return NotImplemented
    steps = stride or kernel
    sides = [side + 2 * before for side, before in zip(shape_of(x)[-2:], padding, strict=True)]
    ends = [side - gap * (size - 1) for side, gap, size in zip(sides, dilation, kernel, strict=True)]
    if any(padding):
        x = functional.pad(x, (padding[1], padding[1], padding[0], padding[0]), value=float("-inf"))
    rows = [slice(place * dilation[0], place * dilation[0] + ends[0], steps[0]) for place in range(kernel[0])]
    columns = [slice(place * dilation[1], place * dilation[1] + ends[1], steps[1]) for place in range(kernel[1])]
    return reduce(torch.maximum, [x[..., row, column] for row in rows for column in columns])


def adaptive_max_pool2d(x: Any, size: Sequence[int]) -> Any:
    """Pool plainly if all regions are alike, else take the maxima of rows, then of columns; without their indices."""
    sides = shape_of(x)[-2:]
    if all(side % count == 0 for side, count in zip(sides, size, strict=True)):
        return functional.max_pool2d(x, tuple(side // count for side, count in zip(sides, size, strict=True))), None
    for axis, side, count in zip((-2, -1), sides, size, strict=True):
        bounds = [(place * side // count, -(-(place + 1) * side // count)) for place in range(count)]
        x = torch.cat([x.narrow(axis, start, end - start).amax(axis, keepdim=True) for start, end in bounds], axis)
    return x, None


def adaptive_avg_pool2d(x: Any, size: Sequence[int]) -> Any:
    """Average by two products with constants if regions overlap."""
    if all(side % count == 0 for side, count in zip(shape_of(x)[-2:], size, strict=True)):
        return NotImplemented

    def along(count: int) -> Callable[[Tensor], Tensor]:
        return lambda eye: functional.adaptive_avg_pool2d(eye, (count, eye.shape[-1]))

    return _along_axes(x, [along(count) for count in size])


def by_products(resize: Any) -> Rewrite:
    """Write a resize as two products with constants: it is linear, and each axis has its own weights."""

    def rewrite(x: Any, size: Sequence[int] | None, align_corners: bool, scales: Sequence[float] | None = None) -> Any:
        def along(axis: int) -> Callable[[Tensor], Tensor]:
            factors = None if scales is None else [scales[axis], 1.0]
            return lambda eye: resize(
                eye, None if size is None else [size[axis], eye.shape[-1]], align_corners, factors
            )

        return _along_axes(x, [along(0), along(1)])

    return rewrite


def by_picking(resize: Any) -> Rewrite:
    """Write a resize to the nearest number as a selection of rows and columns, unless all are repeated equally."""

    def rewrite(x: Any, size: Sequence[int] | None, scales: Sequence[float] | None = None) -> Any:
        sides = shape_of(x)[-2:]
        picked: list[Tensor] = []
        for axis, side in enumerate(sides):
            ramp = torch.arange(side, dtype=torch.float32).reshape(1, 1, side, 1)
            output = None if size is None else [size[axis], 1]
            picked.append(resize(ramp, output, None if scales is None else [scales[axis], 1.0]).flatten().long())
        if all(torch.equal(rows, _repeated(side, len(rows))) for rows, side in zip(picked, sides, strict=True)):
            return NotImplemented
        for axis, rows in zip((-2, -1), picked, strict=True):
            x = x.index_select(axis, constant(rows, x))
        return x

    return rewrite


def pad(x: Any, sizes: Sequence[int], mode: str = "constant", value: Number | None = None) -> Any:
    """Pad: circular padding joins copies of the other end; negative padding crops."""
    if (mode == "circular") is (min(sizes) < 0):
        return NotImplemented
    for place, side in enumerate(reversed(shape_of(x)[-(len(sizes) // 2) :])):
        axis, (before, behind) = -1 - place, sizes[2 * place : 2 * place + 2]
        if mode == "circular":
            x = _joined(x, axis, (side - before, before), (0, behind))
        else:
            x = x.narrow(axis, max(0, -before), side - max(0, -before) - max(0, -behind))
    paddings = [0 if mode == "circular" else max(0, size) for size in sizes]
    return functional.pad(x, paddings, mode, value) if any(paddings) else x


def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    output_padding: Sequence[int] = (0, 0),
    groups: int = 1,
    dilation: Sequence[int] = (1, 1),
) -> Any:
    """Compute the whole result, then crop it to the part that padding leaves."""
    if not any(padding) or any(more > less for more, less in zip(output_padding, padding, strict=True)):
        return NotImplemented
    whole = functional.conv_transpose2d(x, weight, bias, tuple(stride), 0, 0, groups, tuple(dilation))
    parts = [
        slice(cut, (side - 1) * step + gap * (size - 1) + 1 - cut + more)
        for side, step, size, gap, cut, more in zip(
            shape_of(x)[-2:], stride, shape_of(weight)[-2:], dilation, padding, output_padding, strict=True
        )
    ]
    return whole[:, :, parts[0], parts[1]]


def _along_axes(x: Any, maps: Sequence[Callable[[Tensor], Tensor]]) -> Any:
    """Apply linear maps, each given by its effect on the columns of a map [1, 1, side, any], to rows and columns."""
    rows, columns = [
        along(torch.eye(side)[None, None])[0, 0] for along, side in zip(maps, shape_of(x)[-2:], strict=True)
    ]
    return constant(rows, x) @ x @ constant(columns.T.contiguous(), x)


def _joined(x: Any, axis: int, *ends: tuple[int, int]) -> Any:
    """Join two parts of a tensor, each given by its start and length, in front of it and behind."""
    before, behind = [[x.narrow(axis, start, length)] if length else [] for start, length in ends]
    return torch.cat([*before, x, *behind], axis)


def _repeated(side: int, count: int) -> Tensor:
    return torch.arange(side).repeat_interleave(max(1, count // side))
