from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from hetero.linear.measure import Adaptation, Change, flips_between
from hetero.metrics.bootstrap import Interval
from hetero.metrics.retrieval import TaskResult

GOOD = Adaptation(
    space="s",
    new=Change(100, 0.2, 0.3, Interval(0.1, 0.05, 0.15)),
    old=Change(100, 0.5, 0.49, Interval(-0.01, -0.03, 0.01)),
    flips=Interval(0.05, 0.02, 0.08),
    linear=0.305,
    part="neck",
    anchors=10,
    anchor_weight=1.0,
    images=10,
    ridge=0.1,
    steps=5,
    residual=0.1,
    moved=0.05,
    most_flips=0.1,
    most_lost=0.01,
)


def few(count: int) -> Change:
    return Change(count, 0.5, 0.5, Interval(0.0, 0.0, 0.0))


def answers(*right: int) -> TaskResult:
    return TaskResult(("old gallery",), ({"cmc@1": np.array(right, float)},), (np.arange(len(right)),))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"new": Change(100, 0.2, 0.3, Interval(0.1, 0.0, 0.2))}, "not shown to find more"),
        ({"flips": Interval(0.05, 0.02, 0.11)}, "the interval reaches 0.110"),
        ({"flips": Interval(0.0, 0.0, 0.0)}, ""),
        ({"flips": Interval(0.0, 0.0, 0.0), "old": few(30)}, ""),
        ({"flips": Interval(0.0, 0.0, 0.0), "old": few(29)}, "29 old queries are too few .* expected 30 or more"),
        # 0.8 - 0.7 is a little more than 0.1.
        ({"linear": 0.8, "new": Change(30, 0.5, 0.7, Interval(0.2, 0.1, 0.3)), "most_lost": 0.1}, ""),
        ({"linear": 0.32}, "finds 0.020 less than the linear one"),
    ],
)
def test_each_figure_can_refuse(change, reason):
    refusals = dataclasses.replace(GOOD, **change).refusals
    assert len(refusals) == bool(reason) and all(re.search(reason, each) for each in refusals)


def test_it_is_read_as_it_was_written(tmp_path):
    GOOD.save(tmp_path / "adapt.json")
    assert Adaptation.load(tmp_path / "adapt.json") == GOOD


def test_changes_and_flips_by_hand():
    before, after = answers(1, 1, 0, 0), answers(1, 0, 1, 1)
    change = Change.between(before, after, seed=0)
    assert (change.queries, change.before, change.after, change.difference.value) == (4, 0.5, 0.75, 0.25)
    assert change.difference.low < 0.25 < change.difference.high
    assert flips_between(before, after, seed=0).value == 0.25
    assert flips_between(after, before, seed=0).value == 0.5


def test_enough_classes_are_resampled_together():
    # Thirty classes, all queries of each answered alike: as uncertain as thirty queries, not as three hundred.
    labels = np.repeat(np.arange(30), 10)
    right = np.repeat(np.arange(30) % 2, 10).astype(float)
    before = TaskResult(("g",), ({"cmc@1": np.ones(300)},), (labels,))
    after = TaskResult(("g",), ({"cmc@1": right},), (labels,))
    flips = flips_between(before, after, seed=0)
    assert flips.value == 0.5 and flips.high - flips.low > 0.25
