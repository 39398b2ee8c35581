"""Figures against limits: what chance explains neither fails nor passes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hetero.evaluation.limit import at_least, at_most, queries_for_floor, queries_for_loss
from hetero.metrics.bootstrap import Interval, difference_interval


def lost(count: int, of: int, gained: int = 0) -> Interval:
    """The paired interval of so many right answers lost and gained."""
    old, new = np.ones(of), np.ones(of)
    new[:count], old[count : count + gained] = 0, 0
    return difference_interval(old, new)


@pytest.mark.parametrize(
    ("count", "of", "answer"),
    [
        (1, 60, "open"),
        (0, 60, "open"),
        (0, 100, "within"),
        (1, 100, "within"),
        (2, 100, "open"),
        (8, 100, "beyond"),
        (60, 60, "beyond"),
        (12, 1245, "within"),
        (14, 1245, "open"),
        (30, 1245, "beyond"),
    ],
)
def test_a_loss_is_judged_by_its_interval(count: int, of: int, answer: str) -> None:
    least = queries_for_loss(0.01, queries=of, weight=1 / of)
    assert least == 100
    assert at_most(lost(count, of), 0.01, queries=of, least=least).answer == answer


def test_what_is_open_says_how_many_queries_would_tell() -> None:
    """2 of 100 are lost, and 1 is allowed: an interval half as wide as the excess needs many times the queries."""
    judgement = at_most(Interval(0.02, 0.0, 0.05), 0.01, queries=100, least=100)
    assert judgement.needs == 100 * 3**2
    assert at_most(Interval(0.0, 0.0, 0.0), 0.01, queries=60, least=100).needs == 100
    assert at_most(Interval(0.011, 0.0105, 0.0115), 0.01, queries=60, least=100).answer == "beyond"


@pytest.mark.parametrize("of", [100, 400])
def test_a_loss_of_exactly_the_limit_fails_at_most_once_in_forty(of: int) -> None:
    """The stated error rate, from the binomial distribution of lost queries at a true loss of 1 %."""
    fewest = next(count for count in range(of) if at_most(lost(count, of), 0.01, queries=of).answer == "beyond")
    below = sum(math.comb(of, count) * 0.01**count * 0.99 ** (of - count) for count in range(fewest))
    assert 1 - below <= 0.025


def test_a_floor_is_judged_by_its_interval() -> None:
    assert at_least(Interval(0.8, 0.7, 0.9), 0.75, queries=100).answer == "within"
    assert at_least(Interval(0.7, 0.6, 0.8), 0.75, queries=100).answer == "open"
    assert at_least(Interval(0.6, 0.5, 0.7), 0.75, queries=100).answer == "beyond"
    # All of 12 right has the chance 0.75^12 = 0.032 where just the floor holds; all of 13 has 0.024.
    assert queries_for_floor(0.75) == 13
    assert at_least(Interval(1.0, 1.0, 1.0), 0.75, queries=12, least=13).needs == 13
    assert queries_for_floor(0.0) == 1


def test_a_task_whose_queries_weigh_more_needs_more_of_them() -> None:
    """Two tasks of 90 and 10 queries, each half of the mean: a query of the small one moves it by 0.05."""
    assert queries_for_loss(0.01, queries=100, weight=0.05) == 500
    assert queries_for_loss(0.0, queries=100, weight=0.01) == 100
