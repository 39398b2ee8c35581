from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from hetero.errors import InputError
from hetero.metrics.operating.intervals import true_rate_difference_interval, true_rate_interval
from hetero.metrics.operating.operating_point import ComparisonScores, most_accepted, operating_point
from hetero.metrics.operating.verification import tar_at_far

# Few distinct values make ties frequent; floats make them rare.
score = st.one_of(st.sampled_from([-0.5, 0.0, 0.25, 0.5]), st.floats(-1, 1, width=32))
many = st.lists(score, min_size=1, max_size=40)


def scores(mated: object, non_mated: object) -> ComparisonScores:
    return ComparisonScores(np.array(mated, np.float32), np.array(non_mated, np.float32))


def test_hand_computed() -> None:
    found = tar_at_far(scores([0.9, 0.7, 0.6, 0.2], [0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.0, -0.1, -0.2]), 0.1)
    assert (found.far, found.tar) == (0.1, 0.5)  # 0.8 may pass, 0.6 may not: above 0.6 lie 0.9 and 0.7
    assert 0.6 < found.threshold < 0.6001
    assert (found.genuine, found.impostor) == (4, 10)
    assert tar_at_far(scores([0.9, 0.7], [0.8, 0.1]), 0.49).tar == 0.5
    assert tar_at_far(scores([0.9, 0.7], [0.8, 0.1]), 1.0).far == 1


@settings(max_examples=200)
@given(many, many, st.floats(0, 1))
def test_equals_scikit_learns_curve(mated: list[float], non_mated: list[float], rate: float) -> None:
    both = scores(mated, non_mated)
    labels = np.repeat([1, 0], [len(mated), len(non_mated)])
    false, true, _ = roc_curve(labels, np.concatenate([both.mated, both.non_mated]), drop_intermediate=False)
    point = operating_point(both, rate)
    assert point.true_rate == pytest.approx(true[false <= rate].max())
    assert point.false_rate <= rate
    assert point.false_rate == np.mean(both.non_mated >= point.threshold)


@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_the_rate_of_a_whole_number_is_that_number(comparisons: int, accepted: int) -> None:
    accepted = min(accepted, comparisons)
    assert most_accepted(comparisons, accepted / comparisons) == accepted


def test_what_was_never_found_is_never_accepted() -> None:
    point = operating_point(scores([0.5, -np.inf], [0.1, 0.2]), 1.0)
    assert (point.true_rate, point.false_rate) == (0.5, 1)
    assert point.threshold == np.float32(0.1)


@settings(max_examples=40)
@given(many, many, st.floats(0, 1), st.integers(0, 1000))
def test_a_sample_counts_comparisons_as_often_as_they_were_drawn(
    mated: list[float], non_mated: list[float], rate: float, seed: int
) -> None:
    from hetero.metrics.operating.intervals import _Ranked

    rng = np.random.default_rng(seed)
    times = rng.integers(0, 3, len(mated)), rng.integers(0, 3, len(non_mated))
    ours = _Ranked(scores(mated, non_mated)).true_rate(*(each.astype(np.float64) for each in times), rate)
    if not times[0].any() or not times[1].any():
        assert np.isnan(ours)
    else:
        repeated = scores(np.repeat(mated, times[0]), np.repeat(non_mated, times[1]))
        assert ours == pytest.approx(operating_point(repeated, rate).true_rate)


def test_the_interval_knows_that_the_threshold_is_uncertain() -> None:
    """Mated scores in abundance, so that all of the spread comes from the few non-mated ones that set the threshold."""
    rng = np.random.default_rng(0)
    mated = rng.uniform(0, 1, 20_000).astype(np.float32)
    few, many_ = rng.uniform(0, 1, 100).astype(np.float32), rng.uniform(0, 1, 10_000).astype(np.float32)
    narrow, wide = (
        true_rate_interval(ComparisonScores(mated, each), 0.1, over="comparisons", resamples=300)
        for each in (many_, few)
    )
    assert narrow.low < 0.1 < narrow.high
    # The 90 % quantile of n uniform numbers has a standard deviation of sqrt(0.1 * 0.9 / n).
    assert wide.high - wide.low == pytest.approx(2 * 1.96 * 0.3 / np.sqrt(100), rel=0.4)
    assert narrow.high - narrow.low < (wide.high - wide.low) / 4


def test_classes_are_drawn_with_all_of_their_comparisons() -> None:
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(20), 50)
    mated = (rng.normal(0.25, 0.2, 20)[labels]).clip(-1, 1).astype(np.float32)
    non_mated = rng.normal(0, 0.2, 1000).clip(-1, 1).astype(np.float32)
    both = ComparisonScores(mated, non_mated, labels, labels)
    by_comparison = true_rate_interval(both, 0.1, over="comparisons", resamples=300)
    by_class = true_rate_interval(both, 0.1, resamples=300)
    assert by_class.value == by_comparison.value == operating_point(both, 0.1).true_rate
    assert by_class.high - by_class.low > 3 * (by_comparison.high - by_comparison.low)
    with pytest.raises(InputError, match="needs the label of every comparison"):
        true_rate_interval(scores([1], [0]), 0.1)


def test_differences_are_paired() -> None:
    rng = np.random.default_rng(2)
    mated, non_mated = rng.normal(0.3, 0.2, (2, 500)).astype(np.float32)
    old = ComparisonScores(mated, non_mated - np.float32(0.3))
    same = true_rate_difference_interval(old, old, 0.1, over="comparisons", resamples=100)
    assert (same.low, same.value, same.high) == (0, 0, 0)
    better = ComparisonScores(mated + np.float32(0.1), old.non_mated)
    gain = true_rate_difference_interval(better, old, 0.1, over="comparisons", resamples=300)
    assert gain.value == pytest.approx(operating_point(better, 0.1).true_rate - operating_point(old, 0.1).true_rate)
    assert 0 < gain.low < gain.value < gain.high
    with pytest.raises(InputError, match="same comparisons on both sides, got 500 and 1 mated"):
        true_rate_difference_interval(old, scores([1], [0]), 0.1)


def test_refuses_what_has_no_rate() -> None:
    with pytest.raises(InputError, match="at least one of each, got 0 and 1"):
        scores([], [0.5])
    with pytest.raises(InputError, match="finite scores"):
        scores([np.nan], [0.5])
    with pytest.raises(InputError, match="between 0 and 1, got 10.0"):
        tar_at_far(scores([1], [0]), 10.0)
