"""Functions of one and of two numbers, against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import broadcastable_shapes
from torch.nn import functional as F

from tests.device_tests.runtimes.coreml.mil import mb, opened, run

few = settings(max_examples=8)
shapes = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple)


def numbers(shape: tuple[int, ...], seed: int, scale: float = 1.0) -> np.ndarray:
    return (scale * np.random.default_rng(seed).normal(size=shape)).astype(np.float32)


def close(made: list[np.ndarray], expected: list[Any], *, rtol: float = 2e-6, atol: float = 1e-6) -> None:
    assert len(made) == len(expected)
    for index, (came, want) in enumerate(zip(made, expected, strict=True)):
        wanted = want.numpy() if isinstance(want, torch.Tensor) else np.asarray(want)
        assert came.shape == wanted.shape, index
        np.testing.assert_allclose(came, wanted, rtol=rtol, atol=atol, err_msg=f"output {index}")


UNARY = {
    "abs": torch.abs,
    "atan": torch.atan,
    "ceil": torch.ceil,
    "cos": torch.cos,
    "erf": torch.erf,
    "exp": torch.exp,
    "exp2": torch.exp2,
    "floor": torch.floor,
    "identity": lambda x: x,
    "round": torch.round,
    "sign": torch.sign,
    "sin": torch.sin,
    "square": torch.square,
    "tanh": torch.tanh,
    "relu": F.relu,
    "relu6": F.relu6,
    "sigmoid": torch.sigmoid,
    "silu": F.silu,
    "softplus": F.softplus,
    "softsign": F.softsign,
}
POSITIVE = {"sqrt": torch.sqrt}


@few
@given(shapes, st.integers(0, 99))
def test_of_one_number(shape: tuple[int, ...], seed: int) -> None:
    inner = numbers(shape, seed, 0.4)
    x = torch.from_numpy(inner)
    made = run({"x": inner}, lambda x: [getattr(mb, name)(x=x) for name in UNARY])
    close(made, [function(x) for function in UNARY.values()], rtol=5e-6)
    wide = numbers(shape, seed, 6)
    names = [name for name in UNARY if name not in ("exp", "exp2")]
    made = run({"x": wide}, lambda x: [getattr(mb, name)(x=x) for name in names])
    close(made, [UNARY[name](torch.from_numpy(wide)) for name in names])


@few
@given(shapes, st.integers(0, 99), st.floats(0.01, 0.5), st.floats(0.5, 2))
def test_of_one_number_with_options(shape: tuple[int, ...], seed: int, low: float, high: float) -> None:
    wide = numbers(shape, seed, 4)
    x, a, b = torch.from_numpy(wide), float(np.float32(low)), float(np.float32(high))
    made = run(
        {"x": wide},
        lambda x: [
            mb.leaky_relu(x=x, alpha=a),
            mb.elu(x=x, alpha=b),
            mb.clip(x=x, alpha=-a, beta=b),
            mb.thresholded_relu(x=x, alpha=a),
            mb.linear_activation(x=x, alpha=a, beta=b),
            mb.sigmoid_hard(x=x, alpha=a, beta=b),
            mb.threshold(x=x, alpha=a),
            mb.gelu(x=x, mode="EXACT"),
            mb.gelu(x=x, mode="TANH_APPROXIMATION"),
            mb.gelu(x=x, mode="SIGMOID_APPROXIMATION"),
            mb.inverse(x=mb.square(x=x), epsilon=b),
            mb.log(x=mb.abs(x=x), epsilon=a),
            mb.rsqrt(x=mb.abs(x=x), epsilon=a),
            mb.sqrt(x=mb.abs(x=x)),
            mb.leaky_relu(x=x, alpha=b + 1),
        ],
    )
    close(
        made,
        [
            F.leaky_relu(x, a),
            F.elu(x, b),
            x.clamp(-a, b),
            torch.where(x >= a, x, 0.0),
            a * x + b,
            (a * x + b).clamp(0, 1),
            x.clamp(min=a),
            F.gelu(x),
            F.gelu(x, approximate="tanh"),
            x * torch.sigmoid(1.702 * x),
            1 / (x**2 + b),
            torch.log(x.abs() + a),
            torch.rsqrt(x.abs() + a),
            torch.sqrt(x.abs()),
            F.leaky_relu(x, b + 1),
        ],
        rtol=5e-6,
    )


@few
@given(st.integers(1, 4), st.integers(1, 5), st.integers(0, 99))
def test_slopes_by_channel(channels: int, side: int, seed: int) -> None:
    values, alpha = numbers((1, channels, side, 3), seed), numbers((channels,), seed)
    made = run({"x": values}, lambda x: mb.prelu(x=x, alpha=alpha))
    close(made, [F.prelu(torch.from_numpy(values), torch.from_numpy(alpha))])


@few
@given(shapes.filter(lambda shape: len(shape) > 1), st.data())
def test_softmax(shape: tuple[int, ...], data: st.DataObject) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    values = numbers(shape, 3, 20)
    close(run({"x": values}, lambda x: mb.softmax(x=x, axis=axis)), [torch.softmax(torch.from_numpy(values), axis)])


BINARY = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "real_div": torch.div,
    "floor_div": torch.floor_divide,
    "mod": torch.remainder,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
}
COMPARED = {
    "equal": torch.eq,
    "not_equal": torch.ne,
    "greater": torch.gt,
    "greater_equal": torch.ge,
    "less": torch.lt,
    "less_equal": torch.le,
}
LOGICAL = {"logical_and": torch.logical_and, "logical_or": torch.logical_or, "logical_xor": torch.logical_xor}


@few
@given(shapes, st.data())
def test_of_two_numbers(shape: tuple[int, ...], data: st.DataObject) -> None:
    other = data.draw(broadcastable_shapes(shape, min_dims=1, max_dims=4, max_side=5))
    # A few values only, so that some are equal; no quotient near a whole number, where rounding decides.
    left, right = (np.round(numbers(sides, seed, 3)) + np.float32(0.5) for sides, seed in ((shape, 1), (other, 2)))
    x, y = torch.from_numpy(left), torch.from_numpy(right)
    made = run(
        {"x": left, "y": right},
        lambda x, y: [
            *(getattr(mb, name)(x=x, y=y) for name in BINARY),
            mb.pow(x=mb.abs(x=x), y=y),
            *(mb.cast(x=getattr(mb, name)(x=x, y=y), dtype="fp32") for name in COMPARED),
        ],
    )
    expected = [function(x, y) for function in BINARY.values()]
    close(made, [*expected, x.abs() ** y, *(function(x, y).float() for function in COMPARED.values())])


@few
@given(shapes, st.data())
def test_truth_values(shape: tuple[int, ...], data: st.DataObject) -> None:
    left, right = numbers(shape, 5), numbers(shape, 6)
    x, y = torch.from_numpy(left), torch.from_numpy(right)

    def build(x: Any, y: Any) -> list[Any]:
        a, b = mb.greater(x=x, y=np.float32(0)), mb.greater(x=y, y=np.float32(0))
        both = [getattr(mb, name)(x=a, y=b) for name in LOGICAL]
        return [*(mb.cast(x=each, dtype="int32") for each in (*both, mb.logical_not(x=a))), mb.select(cond=a, a=x, b=y)]

    expected = [function(x > 0, y > 0).int() for function in LOGICAL.values()]
    close(run({"x": left, "y": right}, build), [*expected, (~(x > 0)).int(), torch.where(x > 0, x, y)])


def test_whole_numbers() -> None:
    left, right = np.array([7, -7, 9, 0], np.int32), np.array([2, 2, -4, 5], np.int32)
    made = run(
        {"x": left, "y": right},
        lambda x, y: [
            mb.add(x=x, y=y),
            mb.mul(x=x, y=y),
            mb.floor_div(x=x, y=y),
            mb.mod(x=x, y=y),
            mb.maximum(x=x, y=y),
        ],
    )
    close(made, [left + right, left * right, left // right, left % right, np.maximum(left, right)])


def test_casts() -> None:
    values = np.float32([-2.7, -0.2, 0.0, 0.9, 3.5])
    made = run(
        {"x": values},
        lambda x: [
            mb.cast(x=x, dtype="int32"),
            mb.cast(x=mb.cast(x=x, dtype="bool"), dtype="int32"),
            mb.cast(x=x, dtype="fp16"),
        ],
    )
    close(made, [[-2, 0, 0, 0, 3], [1, 1, 0, 1, 1], values], atol=1e-3)
    with pytest.raises(Exception, match="cannot"):
        opened({"x": values}, lambda x: mb.cast(x=x, dtype="int32")).predict({"x": values * np.float32(1e12)})


def test_the_error_function_to_the_last_digits() -> None:
    from device_tests.runtimes.coreml.operators.special import erf

    values = np.linspace(-7, 7, 20001, dtype=np.float32)
    expected = torch.erf(torch.from_numpy(values.astype(np.float64))).numpy()
    np.testing.assert_allclose(erf(values), expected, rtol=1.3e-7, atol=1e-30)
