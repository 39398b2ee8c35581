from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetero.errors import InputError
from hetero.metrics.paired import compare
from hetero.metrics.retrieval import TaskResult
from hetero.metrics.upgrade import average_compatibility, p_comp, p_up, update_gain, update_gain_interval


def result(values: np.ndarray, labels: np.ndarray | None = None) -> TaskResult:
    return TaskResult(("t",), ({"cmc@1": values},), (np.arange(len(values)) if labels is None else labels,))


def test_hand_computed() -> None:
    assert update_gain(0.422, 0.395, 0.663) == pytest.approx(0.027 / 0.268)
    # sigmoid(ln 3) = 3/4, sigmoid(0) = 1/2.
    assert p_up([0.5 * (1 + np.log(3)), 0.4], [0.5, 0.4]) == pytest.approx((0.75 + 0.5) / 2)
    assert p_comp([0.2 + 0.3 * np.log(3), 0.1], [0.2, 0.1], [0.5, 0.9]) == pytest.approx((0.75 + 0.5) / 2)


def test_average_compatibility_counts_later_queries_against_earlier_galleries() -> None:
    figures = np.array([[0.5, 0.0, 0.0], [0.6, 0.7, 0.0], [0.5, 0.8, 0.9]])
    assert average_compatibility(figures) == pytest.approx(2 / 3)  # 0.5 > 0.5 does not hold
    figures[2, 1] = np.nan
    assert average_compatibility(figures) == pytest.approx(1 / 3)
    with pytest.raises(InputError, match="at least two models, got 1"):
        average_compatibility(np.ones((1, 1)))


@given(st.integers(2, 6), st.integers(0, 1000))
def test_average_compatibility_equals_its_definition(models: int, seed: int) -> None:
    figures = np.random.default_rng(seed).integers(0, 4, (models, models)) / 4
    pairs = [(i, j) for i in range(models) for j in range(i)]
    expected = sum(figures[i][j] > figures[j][j] for i, j in pairs) / len(pairs)
    assert average_compatibility(figures) == pytest.approx(expected)


def test_the_gains_interval_is_paired() -> None:
    """Queries differ much, the three systems on one query little: unpaired resampling could not tell them apart."""
    base = np.random.default_rng(0).random(400)
    labels = np.arange(400) // 4
    cross, old, alone = (result(base + shift, labels) for shift in (0.03, 0.0, 0.10))
    interval = update_gain_interval(cross, old, alone, resamples=300)
    assert (interval.value, interval.low, interval.high) == pytest.approx((0.3, 0.3, 0.3))
    noise = np.random.default_rng(1).normal(0, 0.1, 400)
    noisy = result(base + 0.03 + noise, labels)
    errors = {"queries": noise.std() / 20, "classes": noise.reshape(100, 4).mean(axis=1).std() / 10}
    for over, error in errors.items():
        spread = update_gain_interval(noisy, old, alone, over=over, resamples=2000)
        assert spread.high - spread.low == pytest.approx(2 * 1.96 * error / 0.10, rel=0.1)


def test_a_comparison_has_both_intervals() -> None:
    labels = np.repeat(np.arange(25), 16)
    difficulty = np.random.default_rng(0).normal(0, 1, 400)
    by_class = np.random.default_rng(1).normal(0.2, 0.1, 25)[labels]
    comparison = compare(result(difficulty + by_class, labels), result(difficulty, labels))
    assert comparison.new - comparison.old == pytest.approx(comparison.over_queries.value)
    assert comparison.over_queries.value == comparison.over_classes.value == pytest.approx(by_class.mean())
    ratio = (comparison.over_classes.high - comparison.over_classes.low) / (
        comparison.over_queries.high - comparison.over_queries.low
    )
    assert ratio == pytest.approx(4, rel=0.15)  # sqrt(16)


def test_refuses_what_is_not_defined() -> None:
    with pytest.raises(InputError, match="above M"):
        update_gain(0.5, 0.5, 0.5)
    with pytest.raises(InputError, match=r"one figure of each kind an upgrade, got \[1, 2\]"):
        p_up([0.1], [0.1, 0.2])
    with pytest.raises(InputError, match="above zero"):
        p_up([0.1], [0.0])
    with pytest.raises(InputError, match=r"above M\(o, o\)"):
        p_comp([0.1], [0.2], [0.2])
    with pytest.raises(InputError, match="'classes' or 'queries'"):
        update_gain_interval(*(result(np.array(v)) for v in ([0.1], [0.0], [1.0])), over="images")
    with pytest.raises(InputError, match="same queries"):
        compare(result(np.ones(2)), result(np.ones(3)))
