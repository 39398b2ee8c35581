from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix

from hetero.errors import InputError
from hetero.metrics.flip_intervals import (
    nfr_difference_interval,
    nfr_interval,
    nfr_reduction_interval,
    rel_nfr_interval,
)
from hetero.metrics.flips import classification_flips, count_flips, retrieval_flips
from hetero.metrics.retrieval import TaskResult

decisions = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def right(*values: int) -> np.ndarray:
    return np.array(values, bool)


def result(*tasks: list[int]) -> TaskResult:
    """Rank-1 decisions of each task, one class a query."""
    values = tuple({"cmc@1": np.array(task, np.float64)} for task in tasks)
    return TaskResult(tuple("abc"[: len(tasks)]), values, tuple(np.arange(len(task)) for task in tasks))


def test_hand_computed() -> None:
    flips = count_flips(right(1, 1, 1, 1, 0, 0, 0, 0), right(1, 1, 1, 0, 1, 1, 0, 0))
    assert (flips.nfr, flips.pfr, flips.error_old, flips.error_new) == (1 / 8, 2 / 8, 4 / 8, 3 / 8)
    assert flips.rel_nfr == pytest.approx((1 / 8) / (1 / 2 * 3 / 8))


@given(decisions)
def test_the_identity_is_exact(pairs: list[tuple[bool, bool]]) -> None:
    old, new = np.array(pairs).T
    flips = count_flips(old, new)
    assert flips.negative - flips.positive == flips.new_wrong - flips.old_wrong
    exact = Fraction(flips.negative - flips.positive, flips.samples)
    assert exact == Fraction(flips.new_wrong, flips.samples) - Fraction(flips.old_wrong, flips.samples)
    assert flips.nfr - flips.pfr == pytest.approx(flips.error_new - flips.error_old, abs=1e-15)


@given(st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=40))
def test_equals_scikit_learn(rows: list[tuple[int, int, int]]) -> None:
    old, new, labels = np.array(rows).T
    flips = classification_flips(old, new, labels)
    table = confusion_matrix(old == labels, new == labels, labels=[False, True])
    assert [[flips.samples - flips.negative - flips.positive - table[1, 1], flips.positive], [flips.negative]] == [
        table[0].tolist(),
        [table[1, 0]],
    ]
    assert flips.error_old == pytest.approx(1 - accuracy_score(labels, old))
    assert flips.error_new == pytest.approx(1 - accuracy_score(labels, new))


def test_relative_rate_is_one_when_errors_are_independent() -> None:
    old, new = np.divmod(np.arange(100), 10)
    assert count_flips(old < 7, new < 6).rel_nfr == pytest.approx(1)
    assert count_flips(right(0, 0), right(1, 0)).rel_nfr is None
    assert count_flips(right(1, 0), right(1, 1)).rel_nfr is None


def test_retrieval_pools_the_queries_of_all_tasks() -> None:
    flips = retrieval_flips(result([1, 1], [1, 0, 0, 1]), result([1, 0], [1, 1, 0, 1]))
    assert (flips.samples, flips.negative, flips.positive) == (6, 1, 1)
    with pytest.raises(InputError, match="same queries of the same tasks"):
        retrieval_flips(result([1, 1]), result([1, 1, 0]))


def test_intervals() -> None:
    rng = np.random.default_rng(0)
    old, new, baseline = rng.random(4000) < 0.8, rng.random(4000) < 0.8, rng.random(4000) < 0.6
    nfr = nfr_interval(old, new, resamples=800)
    half = 1.96 * np.sqrt(nfr.value * (1 - nfr.value) / 4000)
    assert nfr.value == count_flips(old, new).nfr
    assert (nfr.high - nfr.low) / 2 == pytest.approx(half, rel=0.15)
    relative = rel_nfr_interval(old, new, resamples=800)
    assert relative.value == pytest.approx(count_flips(old, new).rel_nfr)
    assert relative.low < 1 < relative.high
    difference = nfr_difference_interval(old, new, baseline, resamples=800)
    assert difference.value == pytest.approx(count_flips(old, new).nfr - count_flips(old, baseline).nfr)
    assert difference.high < -0.1
    reduction = nfr_reduction_interval(old, new, baseline, resamples=800)
    assert reduction.value == pytest.approx(1 - count_flips(old, new).nfr / count_flips(old, baseline).nfr)
    assert 0.4 < reduction.low < 0.5 < reduction.high < 0.6


def test_classes_hold_fewer_observations_than_samples() -> None:
    classes = np.repeat(np.arange(20), 50)
    flipped = np.random.default_rng(1).random(20)[classes] < 0.3
    old = np.ones(1000, bool)
    by_sample, by_class = (nfr_interval(old, ~flipped, clusters=clusters) for clusters in (None, classes))
    assert by_class.high - by_class.low > 4 * (by_sample.high - by_sample.low)


def test_refuses_what_does_not_exist() -> None:
    with pytest.raises(InputError, match="at least one, got 0 and 0"):
        count_flips(right(), right())
    with pytest.raises(InputError, match="got 2 and 1"):
        count_flips(right(1, 1), right(1))
    with pytest.raises(InputError, match="not defined"):
        rel_nfr_interval(right(0, 0), right(0, 1))
    with pytest.raises(InputError, match="not defined"):
        nfr_reduction_interval(right(1, 1), right(1, 0), right(1, 1))
    with pytest.raises(InputError, match="got 2 and 1"):
        nfr_interval(right(1, 1), right(1))
