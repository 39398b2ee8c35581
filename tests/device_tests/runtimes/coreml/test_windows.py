"""Convolutions, pools and normalisations, against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from device_tests.runtimes.coreml import NotVerifiedError
from tests.device_tests.runtimes.coreml.mil import mb, opened, run
from tests.device_tests.runtimes.coreml.test_elementwise import close, few, numbers

some = settings(max_examples=20)
CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def each(low: int, high: int, count: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(low, high)] * count)


def padded(x: torch.Tensor, pad: tuple[int, ...], value: float = 0.0) -> torch.Tensor:
    """Padding in MIL's order: the first spatial dimension first."""
    pairs = [pad[2 * axis : 2 * axis + 2] for axis in range(len(pad) // 2)]
    return F.pad(x, [size for pair in reversed(pairs) for size in pair], value=value)


@some
@given(st.data())
def test_convolution(data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 3))
    groups = data.draw(st.integers(1, 3))
    inner, outer = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    kernel, strides, dilations = (data.draw(each(1, high, rank)) for high in (4, 3, 2))
    sizes, pad = data.draw(each(1, 9, rank)), data.draw(each(0, 3, 2 * rank))
    extents = [(taps - 1) * step + 1 for taps, step in zip(kernel, dilations, strict=True)]
    assume(all(size + sum(pad[2 * at : 2 * at + 2]) >= extents[at] for at, size in enumerate(sizes)))
    values = numbers((data.draw(st.integers(1, 2)), inner * groups, *sizes), 1)
    weight, bias = numbers((outer * groups, inner, *kernel), 2), numbers((outer * groups,), 3)
    made = run(
        {"x": values},
        lambda x: mb.conv(
            x=x,
            weight=weight,
            bias=bias,
            strides=strides,
            pad_type="custom",
            pad=pad,
            dilations=dilations,
            groups=groups,
        ),
    )
    expected = CONVOLVE[rank](
        padded(torch.from_numpy(values), pad),
        torch.from_numpy(weight),
        torch.from_numpy(bias),
        strides,
        0,
        dilations,
        groups,
    )
    close(made, [expected], rtol=1e-5, atol=1e-5)


@some
@given(st.data())
def test_depthwise_convolution_by_rows_and_by_planes(data: st.DataObject) -> None:
    channels, images = data.draw(st.integers(2, 5)), data.draw(st.integers(1, 3))
    kernel, strides = data.draw(each(1, 7, 2)), data.draw(each(1, 3, 2))
    sizes, pad = data.draw(each(4, 20, 2)), data.draw(each(0, 3, 4))
    assume(all(size + sum(pad[2 * at : 2 * at + 2]) >= kernel[at] for at, size in enumerate(sizes)))
    values, weight = numbers((images, channels, *sizes), 1), numbers((channels, 1, *kernel), 2)
    made = run(
        {"x": values},
        lambda x: mb.conv(x=x, weight=weight, strides=strides, pad_type="custom", pad=pad, groups=channels),
    )
    expected = F.conv2d(padded(torch.from_numpy(values), pad), torch.from_numpy(weight), None, strides, groups=channels)
    close(made, [expected], rtol=1e-5, atol=1e-5)


def test_infinity_stays_where_the_kernel_reaches() -> None:
    values = numbers((1, 2, 6, 6), 1)
    values[0, 0, 2, 3] = np.inf
    weight = np.abs(numbers((2, 1, 3, 3), 2))
    made = run({"x": values}, lambda x: mb.conv(x=x, weight=weight, pad_type="same", groups=2))
    close(made, [F.conv2d(torch.from_numpy(values), torch.from_numpy(weight), padding=1, groups=2)], rtol=1e-5)


@few
@given(st.sampled_from(["valid", "same", "same_lower"]), each(1, 5, 2), each(1, 3, 2), each(5, 9, 2))
def test_padding_by_name(kind: str, kernel: Any, strides: Any, sizes: Any) -> None:
    values, weight = numbers((1, 2, *sizes), 1), numbers((3, 2, *kernel), 2)
    made = run(
        {"x": values},
        lambda x: [
            mb.conv(x=x, weight=weight, strides=strides, pad_type=kind),
            mb.max_pool(x=x, kernel_sizes=kernel, strides=strides, pad_type=kind),
        ],
    )
    x = torch.from_numpy(values)
    if kind == "valid":
        pad = (0, 0, 0, 0)
    else:
        # As TensorFlow defines it: the result is ceil(size / stride) long.
        totals = [max(0, (-(-n // s) - 1) * s + k - n) for n, s, k in zip(sizes, strides, kernel, strict=True)]
        small = [total // 2 for total in totals]
        pairs = [(a, t - a) if kind == "same" else (t - a, a) for a, t in zip(small, totals, strict=True)]
        pad = (*pairs[0], *pairs[1])
    expected = F.conv2d(padded(x, pad), torch.from_numpy(weight), stride=strides)
    close(made, [expected, F.max_pool2d(padded(x, pad, -np.inf), kernel, strides)], rtol=1e-5, atol=1e-5)


@some
@given(st.data())
def test_transposed_convolution(data: st.DataObject) -> None:
    rank, groups = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 2))
    inner, outer = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3))
    kernel, strides, dilations = (data.draw(each(1, high, rank)) for high in (4, 3, 2))
    sizes, pads, more = data.draw(each(2, 6, rank)), data.draw(each(0, 2, rank)), data.draw(each(0, 2, rank))
    more = tuple(
        min(extra, max(stride, step) - 1) for extra, stride, step in zip(more, strides, dilations, strict=True)
    )
    more = tuple(min(extra, stride - 1) for extra, stride in zip(more, strides, strict=True))
    shape = [
        (n - 1) * s - 2 * p + d * (k - 1) + m + 1
        for n, s, p, d, k, m in zip(sizes, strides, pads, dilations, kernel, more, strict=True)
    ]
    assume(min(size - extra for size, extra in zip(shape, more, strict=True)) > 0)
    values, weight = numbers((1, inner * groups, *sizes), 1), numbers((inner * groups, outer, *kernel), 2)
    bias = numbers((outer * groups,), 3)
    pad = tuple(size for size in pads for _ in range(2))
    given_shape = {"output_shape": (1, outer * groups, *shape)} if any(more) else {}
    made = run(
        {"x": values},
        lambda x: mb.conv_transpose(
            x=x,
            weight=weight,
            bias=bias,
            strides=strides,
            pad_type="custom",
            pad=pad,
            dilations=dilations,
            groups=groups,
            **given_shape,
        ),
    )
    expected = TRANSPOSED[rank](
        torch.from_numpy(values),
        torch.from_numpy(weight),
        torch.from_numpy(bias),
        strides,
        pads,
        more,
        groups,
        dilations,
    )
    close(made, [expected], rtol=1e-5, atol=1e-5)


@some
@given(st.data())
def test_pools(data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 2))
    kernel, strides = data.draw(each(1, 4, rank)), data.draw(each(1, 3, rank))
    pads = tuple(data.draw(st.integers(0, taps // 2)) for taps in kernel)
    sizes, ceil = data.draw(each(4, 9, rank)), data.draw(st.booleans())
    values = numbers((1, 3, *sizes), 1)
    options: dict[str, Any] = {
        "kernel_sizes": kernel,
        "strides": strides,
        "pad_type": "custom",
        "ceil_mode": ceil,
        "pad": tuple(size for size in pads for _ in range(2)),
    }
    made = run(
        {"x": values},
        lambda x: [
            mb.max_pool(x=x, **options),
            mb.avg_pool(x=x, exclude_padding_from_average=True, **options),
            mb.avg_pool(x=x, exclude_padding_from_average=False, **options),
        ],
    )
    x, average, largest = (
        torch.from_numpy(values),
        *((F.avg_pool1d, F.max_pool1d), (F.avg_pool2d, F.max_pool2d))[rank - 1],
    )
    expected = [
        largest(x, kernel, strides, pads, 1, ceil),
        average(x, kernel, strides, pads, ceil, False),
        average(x, kernel, strides, pads, ceil, True),
    ]
    # MIL drops a last window that begins in the padding only when there is padding; torch always does.
    assume(all(came.shape == tuple(want.shape) for came, want in zip(made, expected, strict=True)))
    close(made, expected, atol=1e-5)


@few
@given(st.integers(1, 4), each(1, 5, 2), st.floats(1e-5, 0.1))
def test_normalisations(channels: int, sides: tuple[int, ...], epsilon: float) -> None:
    assume(sides[0] * sides[1] > 1)
    eps = float(np.float32(epsilon))
    values, mean, gamma, beta = (numbers(shape, 1) for shape in ((2, channels, *sides), *[(channels,)] * 3))
    variance = np.abs(numbers((channels,), 4)) + np.float32(0.1)
    last = numbers(sides, 5)
    made = run(
        {"x": values},
        lambda x: [
            mb.batch_norm(x=x, mean=mean, variance=variance, gamma=gamma, beta=beta, epsilon=eps),
            mb.instance_norm(x=x, gamma=gamma, beta=beta, epsilon=eps),
            mb.layer_norm(x=x, axes=(2, 3), gamma=last, beta=last, epsilon=eps),
            mb.layer_norm(x=x, axes=(-3,), epsilon=eps),
        ],
    )
    x, m, v, g, b, w = map(torch.from_numpy, (values, mean, variance, gamma, beta, last))
    close(
        made,
        [
            F.batch_norm(x, m, v, g, b, eps=eps),
            F.instance_norm(x, weight=g, bias=b, eps=eps),
            F.layer_norm(x, sides, w, w, eps),
            F.layer_norm(x.movedim(1, -1), (channels,), eps=eps).movedim(-1, 1),
        ],
        rtol=2e-5,
        atol=2e-5,
    )


def test_what_nobody_defined_is_not_verified() -> None:
    values, weight = numbers((1, 1, 4, 4), 1), numbers((1, 1, 2, 2), 2)
    with pytest.raises(
        NotVerifiedError, match="not verified: conv_transpose at .*'same' padding that is not symmetric"
    ):
        opened({"x": values}, lambda x: mb.conv_transpose(x=x, weight=weight, pad_type="same"))
