from __future__ import annotations

import numpy as np
import pytest

from hetero.errors import InputError
from hetero.metrics import bootstrap
from hetero.metrics.bootstrap import difference_interval, function_interval, mean_interval


def test_covers_the_mean_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for trial in range(200):
        interval = mean_interval(rng.normal(3, 1, 60), resamples=300, level=0.9, seed=trial)
        covered += interval.low <= 3 <= interval.high
    assert 0.82 <= covered / 200 <= 0.96


def test_matches_the_normal_interval() -> None:
    values = np.random.default_rng(1).normal(0, 2, 4000)
    interval = mean_interval(values, resamples=4000)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert interval.value == values.mean()
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_queries_of_a_class_stay_together() -> None:
    """Ten classes of a hundred equal values hold ten observations, not a thousand."""
    class_values = np.random.default_rng(2).normal(0, 1, 10)
    values, classes = np.repeat(class_values, 100), np.repeat(np.arange(10), 100)
    by_query, by_class = mean_interval(values), mean_interval(values, clusters=classes)
    assert by_query.value == by_class.value
    ratio = (by_class.high - by_class.low) / (by_query.high - by_query.low)
    assert ratio == pytest.approx(10, rel=0.15)  # sqrt(100)


def test_classes_of_unequal_size_are_weighted_by_their_queries() -> None:
    """With two classes the samples are (a, a), (a, b), (b, a), (b, b), so the possible means are known."""
    values, classes = np.array([1.0, 0.0, 0.0, 0.0]), np.array([5, 9, 9, 9])
    means = bootstrap._resampled([[values]], [classes], 4000, 0)[:, 0]
    assert set(means.tolist()) == {0.0, 0.25, 1.0}
    assert np.mean(means == 0.25) == pytest.approx(0.5, abs=0.05)


def test_a_class_is_drawn_for_all_tasks_at_once() -> None:
    """Two tasks that err on opposite classes cancel out in each sample only if they share the draw."""
    classes = np.array([0, 1])
    tasks = [np.array([1.0, 0.0]), np.array([0.0, 1.0])]
    together = mean_interval(tasks, clusters=[classes, classes])
    assert (together.low, together.value, together.high) == (0.5, 0.5, 0.5)
    apart = mean_interval(tasks)
    assert apart.low < 0.5 < apart.high


def test_pairs_are_kept() -> None:
    rng = np.random.default_rng(3)
    difficulty = rng.normal(0, 10, 500)
    interval = difference_interval(difficulty + 0.5 + rng.normal(0, 0.1, 500), difficulty)
    assert interval.value == pytest.approx(0.5, abs=0.02)
    assert 0.48 < interval.low < interval.high < 0.52
    nothing = difference_interval(difficulty, difficulty)
    assert (nothing.low, nothing.value, nothing.high) == (0, 0, 0)


def test_the_seed_decides() -> None:
    values = np.random.default_rng(4).normal(0, 1, 50)
    assert mean_interval(values, seed=1) == mean_interval(values, seed=1)
    assert mean_interval(values, seed=1) != mean_interval(values, seed=2)


def test_chunks_do_not_change_how_many_samples_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "DRAWS_AT_ONCE", 64)
    values = np.random.default_rng(5).normal(0, 1, 50)
    assert len(bootstrap._resampled([[values]], None, 37, 0)) == 37


def test_kept_draws_are_those_of_a_new_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    values, classes = np.random.default_rng(5).normal(0, 1, 50), np.arange(50) // 3
    kept = [mean_interval(values, clusters=classes, resamples=100) for _ in range(2)]
    monkeypatch.setattr(bootstrap, "DRAWS_AT_ONCE", 64)
    assert kept == [mean_interval(values, clusters=classes, resamples=100)] * 2


def test_refuses_what_cannot_be_resampled() -> None:
    with pytest.raises(InputError, match="at least one query in every task"):
        mean_interval(np.zeros(0))
    with pytest.raises(InputError, match=r"clusters: expected one a value, \[3\], got \[2\]"):
        mean_interval(np.zeros(3), clusters=np.zeros(2, np.int64))
    with pytest.raises(InputError, match="0 < level < 1, got 10 and 95.0"):
        mean_interval(np.zeros(3), resamples=10, level=95.0)
    with pytest.raises(InputError, match="same queries on both sides"):
        difference_interval(np.zeros(3), np.zeros(4))


def test_a_ratio_is_resampled_with_both_of_its_sides() -> None:
    """Numerator and denominator move together, so that their ratio hardly moves at all."""
    size = np.random.default_rng(6).uniform(1, 9, 300)
    ratio = function_interval([3 * size, size], lambda means: means[:, 0] / means[:, 1], resamples=200)
    assert (ratio.low, ratio.value, ratio.high) == pytest.approx((3, 3, 3))
    mean = mean_interval(size, resamples=200)
    assert mean.high - mean.low > 0.3


def test_samples_where_a_ratio_does_not_exist_do_not_count() -> None:
    values, ones = np.array([0.0, 0.0, 0.0, 1.0]), np.ones(4)
    interval = function_interval([ones, values], lambda means: means[:, 0] / means[:, 1], resamples=500)
    assert np.isfinite([interval.low, interval.value, interval.high]).all()
    with pytest.raises(InputError, match=r"not defined for these queries; .* \[1.0, 0.0\]"):
        function_interval([ones, np.zeros(4)], lambda means: means[:, 0] / means[:, 1])
    with pytest.raises(InputError, match=r"figures: expected all to be of the same queries, \[4\] a task, got \[3\]"):
        function_interval([ones, np.zeros(3)], lambda means: means[:, 0])
