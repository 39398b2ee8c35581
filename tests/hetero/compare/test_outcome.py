"""The table's figures by hand: choice on validation, intervals on test, best only when they say so."""

from __future__ import annotations

import numpy as np
import pytest

from hetero.compare.config import parse_comparison
from hetero.compare.figure import figure
from hetero.compare.measure import Measured
from hetero.compare.outcome import as_table, outcome
from hetero.metrics.retrieval import TaskResult

COSTS = {"cloud": {"macs": 200, "parameters": 10}, "student": {"macs": 10, "parameters": 2}}


def result(values: list[float]) -> TaskResult:
    array = np.array(values)
    return TaskResult(("all",), ({"cmc@1": array, "map@r": array},), (np.arange(len(values)),))


def measured(validation: float, *seeds: list[float]) -> list[Measured]:
    return [Measured(validation, result(values), result([value / 2 for value in values])) for values in seeds]


def comparison(names: list[str]):
    methods = [{"name": name, "objectives": [{"name": "cloud_regression"}]} for name in names]
    methods[-1] |= {"independent": True, "objectives": [{"name": "own_head"}]}
    return parse_comparison(
        {
            "name": "t",
            "seeds": [0, 1],
            "data": {"kind": "emoji"},
            "preprocessing": {"height": 16, "width": 16},
            "student": {},
            "methods": methods,
        },
        what="t",
    )


@pytest.fixture
def finished():
    good, fair, none = [1.0] * 30 + [0.0] * 10, [1.0] * 15 + [0.0] * 25, [0.0] * 40
    results = {
        "fair": measured(0.6, fair, fair),
        "good": measured(0.7, good, [1.0] * 40),
        "plain": measured(0.9, none, none),
    }
    clouds = [result([1.0] * 40), result([1.0] * 40)]
    return outcome(comparison(["fair", "good", "plain"]), results, {name: name for name in results}, clouds, COSTS)


def test_the_choice_is_made_on_validation_among_methods_that_know_the_cloud(finished):
    assert finished.chosen == "good"  # plain has the better figure, against nothing it could know
    assert [row.name for row in finished.methods] == ["plain", "good", "fair"]


def test_means_spreads_and_shares_are_over_seeds(finished):
    good = finished.methods[1]
    assert good.asymmetric["map@r"].seeds == (0.75, 1.0)
    assert good.asymmetric["map@r"].mean == pytest.approx(0.875)
    assert good.asymmetric["map@r"].spread == pytest.approx(0.125 * 2**0.5)
    assert good.share.mean == pytest.approx(0.875) and good.symmetric["cmc@1"].mean == pytest.approx(0.4375)
    assert good.behind is None


def test_best_needs_an_interval_above_zero_against_every_other(finished):
    fair = finished.methods[2]
    assert fair.behind.value == pytest.approx(0.5) and fair.behind.low > 0
    assert finished.best == "good" and finished.resampled == "classes"
    same = {name: measured(0.5, [1.0, 0.0] * 20, [1.0, 0.0] * 20) for name in ("a", "b", "c")}
    clouds = [result([1.0] * 40)] * 2
    level = outcome(comparison(["a", "b", "c"]), same, {name: name for name in same}, clouds, COSTS)
    assert level.best == "" and level.chosen == "a"


def test_with_few_classes_queries_are_resampled():
    few = {name: measured(0.5, [1.0, 0.0] * 10, [1.0, 0.0] * 10) for name in ("a", "b", "c")}
    clouds = [result([1.0] * 20)] * 2
    assert outcome(comparison(["a", "b", "c"]), few, {name: name for name in few}, clouds, COSTS).resampled == "queries"


def test_table_and_picture_say_the_same(finished):
    table = as_table(finished)
    assert "1/20.0 of its multiply-accumulates" in table
    assert "| **good** |" in table and "| fair |" in table and "0.875 ± 0.177" in table
    drawn = figure(finished)
    assert b"good (best)" in drawn and drawn == figure(finished)
