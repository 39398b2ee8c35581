"""Reductions, shapes, parts and orders of arrays, and matrix products, against torch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch.nn import functional as F

from device_tests.runtimes.coreml import NotVerifiedError
from tests.device_tests.runtimes.coreml.mil import mb, opened, run
from tests.device_tests.runtimes.coreml.test_elementwise import close, few, numbers, shapes

cubes = st.lists(st.integers(1, 5), min_size=2, max_size=4).map(tuple)


@few
@given(cubes, st.data())
def test_reductions(shape: tuple[int, ...], data: st.DataObject) -> None:
    axes = tuple(data.draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True)))
    signs = tuple(axis - len(shape) * data.draw(st.integers(0, 1)) for axis in axes)
    keep, axis = data.draw(st.booleans()), data.draw(st.integers(-len(shape), len(shape) - 1))
    values = numbers(shape, 7, 2)
    names = ("l2_norm", "log_sum_exp", "max", "mean", "min", "sum")
    made = run(
        {"x": values},
        lambda x: [
            *(getattr(mb, f"reduce_{name}")(x=x, axes=signs, keep_dims=keep) for name in names),
            mb.reduce_prod(x=x, axes=(signs[0],), keep_dims=keep),
            mb.reduce_argmax(x=x, axis=axis, keep_dims=keep),
            mb.reduce_argmin(x=x, axis=axis, keep_dims=keep),
            mb.reduce_mean(x=x, keep_dims=True),
        ],
    )
    x = torch.from_numpy(values)
    close(
        made,
        [
            (x**2).sum(axes, keep).sqrt(),
            x.logsumexp(axes, keep),
            x.amax(axes, keep),
            x.mean(axes, keep),
            x.amin(axes, keep),
            x.sum(axes, keep),
            x.prod(axes[0], keep),
            x.argmax(axis, keep),
            x.argmin(axis, keep),
            x.mean().view([1] * len(shape)),
        ],
        rtol=1e-5,
        atol=1e-5,
    )


def test_sums_of_exponentials_do_not_overflow() -> None:
    values = np.float32([[300, 299, -np.inf], [-np.inf] * 3])
    made = run({"x": values}, lambda x: mb.reduce_log_sum_exp(x=x, axes=[1]))
    close(made, [torch.logsumexp(torch.from_numpy(values), 1)])


@few
@given(cubes, st.data())
def test_shapes(shape: tuple[int, ...], data: st.DataObject) -> None:
    order = tuple(data.draw(st.permutations(range(len(shape)))))
    axis = data.draw(st.integers(0, len(shape)))
    values = numbers((1, *shape), 1)
    flipped = data.draw(st.integers(0, len(shape)))

    def build(x: Any) -> list[Any]:
        wide = mb.expand_dims(x=x, axes=(axis, -1))
        return [
            mb.transpose(x=x, perm=(0, *(at + 1 for at in order))),
            mb.reshape(x=x, shape=(1, -1)),
            wide,
            mb.squeeze(x=wide, axes=(-1,)),
            mb.reshape(x=x, shape=(shape[0], -1)),
            mb.reverse(x=x, axes=(flipped,)),
            mb.identity(x=x),
            mb.reshape(x=x, shape=(0,) * (len(shape) + 1)),
            mb.squeeze(x=mb.expand_dims(x=x, axes=(0,)), axes=(0,)),
        ]

    x = torch.from_numpy(values)
    wide = np.expand_dims(values, (axis, values.ndim + 1))
    close(
        run({"x": values}, build),
        [
            x.permute(0, *(at + 1 for at in order)),
            x.reshape(1, -1),
            wide,
            wide[..., 0],
            x.reshape(shape[0], -1),
            x.flip(flipped),
            x,
            x,
            x,
        ],
    )


@few
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_blocks_of_places(block: int, channels: int, height: int, width: int) -> None:
    small = numbers((1, channels * block**2, height, width), 1)
    large = numbers((1, channels, height * block, width * block), 2)
    made = run(
        {"x": small, "y": large},
        lambda x, y: [
            mb.pixel_shuffle(x=x, upscale_factor=block),
            mb.pixel_unshuffle(x=y, downscale_factor=np.uint32(block)),
        ],
    )
    x, y = torch.from_numpy(small), torch.from_numpy(large)
    close(made, [F.pixel_shuffle(x, block), F.pixel_unshuffle(y, block)])


@few
@given(cubes, st.data())
def test_joining(shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    left, right = numbers(shape, 1), numbers(shape, 2)
    reps = tuple(data.draw(st.integers(1, 3)) for _ in shape)
    cut = data.draw(st.integers(1, 2 * shape[axis] - 1))

    def build(x: Any, y: Any) -> list[Any]:
        joined = mb.concat(values=(x, y), axis=axis)
        return [
            joined,
            mb.stack(values=(x, y), axis=axis),
            *mb.split(x=joined, num_splits=2, axis=axis),
            *mb.split(x=joined, split_sizes=[cut, 2 * shape[axis] - cut], axis=axis),
            mb.tile(x=x, reps=reps),
            mb.concat(values=(x, np.zeros(shape, np.float32)), axis=axis),
            mb.concat(values=(x, y, x), axis=axis, interleave=True),
        ]

    x, y = torch.from_numpy(left), torch.from_numpy(right)
    joined = torch.cat([x, y], axis)
    close(
        run({"x": left, "y": right}, build),
        [
            joined,
            torch.stack([x, y], axis),
            x,
            y,
            *joined.split([cut, 2 * shape[axis] - cut], axis),
            x.tile(reps),
            torch.cat([x, torch.zeros_like(x)], axis),
            torch.stack([x, y, x], axis % len(shape) + 1).flatten(axis % len(shape), axis % len(shape) + 1),
        ],
    )


@few
@given(st.integers(3, 6), st.integers(3, 6), st.tuples(*[st.integers(0, 2)] * 4), st.floats(-2, 2))
def test_padding(height: int, width: int, pad: tuple[int, ...], value: float) -> None:
    values, filler = numbers((1, 2, height, width), 1), float(np.float32(value))
    made = run(
        {"x": values},
        lambda x: [
            mb.pad(x=x, pad=pad, mode="constant", constant_val=filler),
            mb.pad(x=x, pad=pad, mode="reflect"),
            mb.pad(x=x, pad=pad, mode="replicate"),
            mb.pad(x=x, pad=(1, 0, *[0] * 6)),
        ],
    )
    x, sides = torch.from_numpy(values), (*pad[2:], *pad[:2])
    close(
        made,
        [
            F.pad(x, sides, value=filler),
            F.pad(x, sides, mode="reflect"),
            F.pad(x, sides, mode="replicate"),
            F.pad(x, (0, 0, 0, 0, 0, 0, 1, 0)),
        ],
    )


@few
@given(cubes, st.data())
def test_slices(shape: tuple[int, ...], data: st.DataObject) -> None:
    begin = [data.draw(st.integers(0, size - 1)) for size in shape]
    end = [data.draw(st.integers(start + 1, size)) for start, size in zip(begin, shape, strict=True)]
    stride = [data.draw(st.integers(1, 2)) for _ in shape]
    flags = [[data.draw(st.booleans()) for _ in shape] for _ in range(2)]
    squeezed = [data.draw(st.booleans()) for _ in shape]
    squeezed[-1] = False
    values = numbers((1, *shape), 1)
    made = run(
        {"x": values},
        lambda x: [
            mb.slice_by_index(
                x=x,
                begin=[0, *begin],
                end=[1, *end],
                stride=[1, *stride],
                begin_mask=[False, *flags[0]],
                end_mask=[True, *flags[1]],
            ),
            mb.slice_by_index(
                x=x, begin=[0, *begin], end=[1, *end], squeeze_mask=[False, *squeezed], end_mask=[True, *flags[1]]
            ),
        ],
    )
    first, second = [slice(None)], [slice(None)]
    for axis in range(len(shape)):
        start, stop = None if flags[0][axis] else begin[axis], None if flags[1][axis] else end[axis]
        first.append(slice(start, stop, stride[axis]))
        second.append(begin[axis] if squeezed[axis] else slice(begin[axis], stop))
    close(made, [values[tuple(index)] for index in (first, second)])


@few
@given(cubes, st.data())
def test_gathering(shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    places = data.draw(st.lists(st.integers(-shape[axis], shape[axis] - 1), min_size=1, max_size=4))
    values, rng = numbers(shape, 1), np.random.default_rng(0)
    beside = rng.integers(0, shape[axis], shape).astype(np.int32)
    deep = np.stack([rng.integers(0, size, 3) for size in shape[:2]], axis=-1).astype(np.int32)
    made = run(
        {"x": values},
        lambda x: [
            mb.gather(x=x, indices=np.int32(places), axis=axis),
            mb.gather_along_axis(x=x, indices=beside, axis=axis),
            mb.gather_nd(x=x, indices=deep),
            mb.band_part(x=x, lower=1, upper=0),
            mb.cumsum(x=x, axis=axis, exclusive=True),
            mb.cumsum(x=x, axis=axis, reverse=True),
            mb.argsort(x=x, axis=axis),
            mb.argsort(x=x, axis=axis, ascending=True),
            *mb.topk(x=x, k=1, axis=axis, ascending=True),
            *mb.topk(x=x, k=shape[axis], axis=axis),
        ],
    )
    x = torch.from_numpy(values)
    least, most = x.topk(1, axis, largest=False), x.topk(shape[axis], axis)
    close(
        made,
        [
            np.take(values, places, axis),
            np.take_along_axis(values, beside, axis),
            values[deep[:, 0], deep[:, 1]],
            torch.tril(torch.triu(x, -1)),
            x.cumsum(axis) - x,
            x.flip(axis).cumsum(axis).flip(axis),
            x.argsort(axis, descending=True),
            x.argsort(axis),
            least.values,
            least.indices,
            most.values,
            most.indices,
        ],
        atol=1e-5,
    )


def test_making() -> None:
    values, index = numbers((2, 3), 1), np.array([0, 2], np.int32)
    made = run(
        {"x": values, "i": index},
        lambda x, i: [
            mb.one_hot(indices=i, one_hot_vector_size=4, axis=0, on_value=3, off_value=1),
            mb.fill_like(ref_tensor=x, value=7),
        ],
    )
    close(made, [np.where(np.arange(4)[:, None] == index, 3, 1), np.full((2, 3), 7)])


@few
@given(shapes, st.integers(1, 4), st.integers(1, 4), st.booleans(), st.booleans())
def test_products(leading: tuple[int, ...], inner: int, columns: int, over: bool, across: bool) -> None:
    left, right = (
        numbers((*leading[:2], 3, inner), 1),
        numbers((leading[0], 1, inner, columns)[-2 - len(leading[:2]) :], 2),
    )
    given_left, given_right = left.swapaxes(-1, -2) if over else left, right.swapaxes(-1, -2) if across else right
    weight, bias = numbers((columns, inner), 3), numbers((columns,), 4)
    made = run(
        {"x": np.ascontiguousarray(given_left), "y": np.ascontiguousarray(given_right), "z": left},
        lambda x, y, z: [
            mb.matmul(x=x, y=y, transpose_x=over, transpose_y=across),
            mb.linear(x=z, weight=weight, bias=bias),
            mb.matmul(x=z, y=weight.T.copy()),
        ],
    )
    x, y = torch.from_numpy(left), torch.from_numpy(right)
    straight = F.linear(x, torch.from_numpy(weight))
    close(made, [x @ y, straight + torch.from_numpy(bias), straight], rtol=1e-5, atol=1e-5)


def test_a_sum_by_equation_and_attention() -> None:
    left, right = numbers((2, 3, 4), 1), numbers((4, 3, 5), 2)
    close(
        run({"x": left, "y": right}, lambda x, y: mb.einsum(values=(x, y), equation="chw,whu->chu")),
        [np.einsum("chw,whu->chu", left, right)],
        atol=1e-5,
    )
    query, key, value = numbers((1, 2, 4, 3), 1), numbers((1, 2, 5, 3), 2), numbers((1, 2, 5, 6), 3)
    added = numbers((4, 5), 4)
    made = run(
        {"q": query, "k": key, "v": value},
        lambda q, k, v: [
            mb.scaled_dot_product_attention(query=q, key=k, value=v),
            mb.scaled_dot_product_attention(query=q, key=k, value=v, attn_mask=added),
            mb.scaled_dot_product_attention(query=q, key=k, value=v, attn_mask=added > 0),
        ],
        ios=18,
    )
    tensors = [torch.from_numpy(each) for each in (query, key, value)]
    mask = torch.from_numpy(added)
    close(
        made, [F.scaled_dot_product_attention(*tensors, attn_mask=each) for each in (None, mask, mask > 0)], atol=1e-5
    )


eighths = st.integers(2, 24).map(lambda count: count / 8)  # exact in float32, so that no size is in doubt


@few
@given(st.integers(1, 6), st.integers(1, 6), eighths, eighths, st.booleans())
def test_bilinear_resizing(height: int, width: int, rows: float, columns: float, corners: bool) -> None:
    values, sizes = numbers((1, 2, height, width), 1), (math.floor(height * rows), math.floor(width * columns))
    assume(min(sizes) > 0)
    factors = {"scale_factor_height": rows, "scale_factor_width": columns}
    made = run({"x": values}, lambda x: mb.upsample_bilinear(x=x, align_corners=corners, **factors))
    expected = F.interpolate(torch.from_numpy(values), sizes, mode="bilinear", align_corners=corners)
    close(made, [expected], rtol=1e-5, atol=1e-5)


def test_the_nearest_number() -> None:
    values = numbers((1, 2, 3, 2), 1)
    made = run({"x": values}, lambda x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=3))
    close(made, [F.interpolate(torch.from_numpy(values), (6, 6), mode="nearest")])
    with pytest.raises(NotVerifiedError, match="no whole factor"):
        opened({"x": values}, lambda x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=1.5))
