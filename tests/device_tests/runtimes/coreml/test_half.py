"""Half precision: rounding bit by bit, and what is lost, by operator."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from device_tests.runtimes.coreml.rounding import to_half
from tests.device_tests.runtimes.coreml.mil import mb, opened, result
from tests.device_tests.runtimes.coreml.test_elementwise import numbers


@settings(max_examples=50)
@given(arrays(np.uint32, st.integers(0, 300)))
def test_rounding_is_that_of_a_cast(bits: np.ndarray) -> None:
    values = bits.view(np.float32)
    with np.errstate(all="ignore"):
        expected, (came, _) = values.astype(np.float16).astype(np.float32), to_half(values)
    np.testing.assert_array_equal(came, expected)


def test_rounding_of_every_half_and_of_what_lies_between() -> None:
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    between = (halves[1:] + halves[:-1]) / 2
    near = np.concatenate([np.nextafter(between, np.float32(side)) for side in (0, np.inf)])
    for values in (halves, between, near, -between, np.float32([65519.996, 65520, 1e30, -np.inf, np.nan])):
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(to_half(values)[0], values.astype(np.float16).astype(np.float32))


def test_rounding_keeps_the_order_in_memory_and_tells_of_losses() -> None:
    values = numbers((3, 4, 5), 1).transpose(1, 0, 2)
    came, lossy = to_half(values)
    assert (came.strides, lossy) == (values.strides, [])
    for slanted in (values[:, ::2], np.broadcast_to(values[:1], (4, 3, 5))):
        np.testing.assert_array_equal(to_half(slanted)[0], slanted.astype(np.float16).astype(np.float32))
    assert all(to_half(np.float32([1, value]))[1] for value in (1e-9, 1e9, np.inf, np.nan))
    assert not to_half(np.float32([0, -0.0, 1e-7]))[1]


def as_halves(build: Any) -> Any:
    return lambda x: mb.cast(x=build(mb.cast(x=x, dtype="fp16")), dtype="fp32")


def normalised(x: Any) -> Any:
    length = mb.reduce_l2_norm(x=x, axes=[-1], keep_dims=True, name="length")
    return mb.real_div(x=x, y=length, name="embedding")


def test_a_large_embedding_overflows_in_its_norm_and_the_report_says_where() -> None:
    embedding = np.float32(30) * np.sign(numbers((1, 128), 1))
    made = result({"x": embedding}, as_halves(normalised))
    (found,) = made.incidents
    # 128 * 30 ** 2 = 115,200: the length, 339, would fit into float16, the sum of squares does not.
    assert (found.operator, found.name, found.kind, found.place) == (
        "reduce_l2_norm",
        "length",
        "overflow",
        "intermediate",
    )
    assert (found.count, found.total, found.worst) == (1, 1, pytest.approx(115200))
    assert str(found) == "reduce_l2_norm at length: 1 of 1 intermediates overflow, up to 1.15e+05"
    np.testing.assert_array_equal(*made.outputs.values(), np.zeros((1, 128)))


def test_scaling_before_the_norm_mends_it() -> None:
    embedding = np.float32(30) * np.sign(numbers((1, 128), 1))
    made = result({"x": embedding}, as_halves(lambda x: normalised(mb.mul(x=x, y=np.float16(1 / 64)))))
    assert made.incidents == ()
    np.testing.assert_allclose(*made.outputs.values(), embedding / np.linalg.norm(embedding), atol=1e-3)


def test_in_float32_nothing_is_rounded() -> None:
    embedding = np.float32(30) * np.sign(numbers((1, 128), 1))
    made = opened({"x": embedding}, as_halves(normalised), arithmetic="float32").run({"x": embedding})
    assert made.incidents == ()
    np.testing.assert_allclose(*made.outputs.values(), embedding / np.linalg.norm(embedding), atol=1e-6)


def test_only_what_is_declared_as_float16_is_rounded() -> None:
    value = np.float32([[1.0001]])
    made = result({"x": value}, lambda x: mb.add(x=x, y=np.float32(0)))
    np.testing.assert_array_equal(*made.outputs.values(), value)
    made = result({"x": value}, as_halves(lambda x: mb.add(x=x, y=np.float16(0))))
    np.testing.assert_array_equal(*made.outputs.values(), np.float32([[1.0]]))


def test_results_that_vanish_overflow_or_are_no_numbers() -> None:
    values = np.float32([[1e-4, 300, 0, -2]])
    made = result({"x": values}, as_halves(lambda x: mb.square(x=x, name="squares")))
    kinds = {item.kind: item for item in made.incidents}
    assert (kinds["overflow"].count, kinds["overflow"].name) == (1, "squares")
    assert kinds["flushed to zero"].worst == pytest.approx(1e-8, rel=1e-3)
    made = result({"x": values}, as_halves(lambda x: mb.sqrt(x=x, name="root")))
    assert [(item.kind, item.count, item.name) for item in made.incidents] == [("not a number", 1, "root")]


EXACT = {
    "relu": lambda x: mb.relu(x=x),
    "relu6": lambda x: mb.relu6(x=x),
    "thresholded_relu": lambda x: mb.thresholded_relu(x=x, alpha=np.float16(-0.7)),
    "clip": lambda x: mb.clip(x=x, alpha=np.float16(-0.3), beta=np.float16(0.9)),
    "pad": lambda x: mb.pad(x=x, pad=[1, 2], mode="constant", constant_val=np.float16(0.1)),
    "max_pool": lambda x: mb.max_pool(x=x, kernel_sizes=[2, 2], strides=[1, 1], pad_type="valid"),
    "transpose": lambda x: mb.transpose(x=x, perm=[0, 2, 3, 1]),
    "reshape": lambda x: mb.reshape(x=x, shape=[1, 6, 8]),
    "slice_by_index": lambda x: mb.slice_by_index(x=x, begin=[0, 0, 1, 0], end=[1, 3, 3, 4]),
}


@pytest.mark.parametrize("name", list(EXACT))
def test_what_is_not_rounded_because_it_is_exact_needs_no_rounding(name: str) -> None:
    values = 9 * numbers((1, 3, 4, 4), 1)
    made = result({"x": values}, as_halves(EXACT[name]))
    (came,) = made.outputs.values()
    np.testing.assert_array_equal(came, came.astype(np.float16))
    model = opened({"x": values}, as_halves(EXACT[name]), arithmetic="float16")
    steps = {step.operation.type: step for step in model._executor.plan.steps}
    assert steps[name].operator.exact
    assert steps[name].given_halves


def test_limits_that_float16_does_not_hold_are_rounded_with_the_result() -> None:
    from device_tests.runtimes.coreml.plan import _given_halves

    model = opened({"x": np.float32([[2]])}, as_halves(EXACT["clip"]), arithmetic="float16")
    (step,) = (step for step in model._executor.plan.steps if step.operation.type == "clip")
    (given,) = step.variables["x"]
    for beta, exact in ((0.5, True), (1 / 3, False)):
        assert _given_halves(replace(step, constants={"alpha": 0.0, "beta": beta}), {given}) is exact
    assert not _given_halves(step, set())


def test_batches_are_counted_together() -> None:
    values = np.float32([[300, 1], [400, 500], [1, 1]])
    loaded = opened({"x": values[:1]}, as_halves(lambda x: mb.square(x=x, name="squares")), arithmetic="float16")
    (found,) = loaded.run({"x": values}).incidents
    assert (found.count, found.total, found.worst) == (3, 6, 250000)
