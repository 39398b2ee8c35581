from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.precision.choose import CALIBRATORS
from export.precision.ranges import (
    BINS,
    SMOOTHING,
    Histogram,
    average,
    channel_means,
    entropy,
    mean_squared_error,
    minmax,
    observe,
    percentile,
    ranges,
)


def histogram(values: np.ndarray) -> Histogram:
    return observe(lambda: [{"x": values.astype(np.float32)}])["x"]


def test_observe_counts_over_images() -> None:
    images = [{"x": np.array([0.0, 1.0], np.float32)}, {"x": np.array([[-1.0], [3.0]], np.float32)}]
    found = observe(lambda: images)["x"]
    assert (found.low, found.high) == (-1.0, 3.0)
    # -1, 0, 1 and 3 lie at 0, 1/4, 1/2 and all of the range; the last bin includes its end.
    assert np.flatnonzero(found.counts).tolist() == [0, BINS // 4, BINS // 2, BINS - 1]
    assert found.counts.sum() == 4


def test_moving_average_by_hand() -> None:
    images = [{"x": np.array([-1.0, 1.0], np.float32)}, {"x": np.array([-2.0, 5.0], np.float32)}]
    assert average(observe(lambda: images)["x"]) == pytest.approx((-1 * SMOOTHING - 2 * 0.05, SMOOTHING + 5 * 0.05))


def test_channel_means_by_hand() -> None:
    # Two images of two channels, the channels first or last.
    first = [{"x": np.array([[[1.0, 3.0], [10.0, 30.0]]], np.float32)}, {"x": np.full((1, 2, 2), 4, np.float32)}]
    assert channel_means(first, ["x", "y"], axis=1)["x"].tolist() == [3.0, 12.0]
    last = [{"x": one["x"].swapaxes(1, 2)} for one in first]
    assert channel_means(last, ["x"], axis=-1)["x"].tolist() == [3.0, 12.0]


def test_constant_tensor_has_a_range() -> None:
    low, high = minmax(histogram(np.full(5, 2.0)))
    assert low == 2.0 < high


def test_percentile_cuts_one_in_ten_thousand() -> None:
    values = np.concatenate([np.linspace(0, 1, 100_000), [50.0]])
    low, high = percentile(histogram(values))
    assert low == 0
    assert 0.99 < high < 1.1


@pytest.mark.parametrize("choose", [entropy, mean_squared_error])
def test_outliers_are_given_up(choose) -> None:
    values = np.concatenate([np.random.default_rng(0).normal(size=200_000), [-20.0, 20.0]])
    low, high = choose(histogram(values))
    assert -18 < low < -2
    assert 2 < high < 18


def test_mean_squared_error_is_the_best_that_is_tried() -> None:
    values = np.random.default_rng(1).laplace(size=20_000)
    found = histogram(values)

    def error(low: float, high: float) -> float:
        step = (high - low) / 255
        return float(np.mean((np.round((np.clip(values, low, high) - low) / step) * step + low - values) ** 2))

    best = error(*mean_squared_error(found))
    tried = [error(found.low * share, found.high * share) for share in np.linspace(0.2, 1.0, 41)]
    assert best <= min(tried) * 1.02


@given(st.lists(st.floats(-1e4, 1e4, width=32), min_size=1, max_size=50), st.sampled_from(CALIBRATORS))
def test_ranges_are_finite_ordered_and_hold_zero(values, calibrator) -> None:
    (low, high) = ranges({"x": histogram(np.array(values))}, calibrator)["x"]
    assert np.isfinite([low, high]).all()
    assert low <= 0 <= high
