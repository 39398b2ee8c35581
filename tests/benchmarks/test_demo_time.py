"""The record of the demo's time, from what a run says."""

from __future__ import annotations

import pytest

from benchmarks.demo_time import timeline


def test_stages_are_placed_in_time_and_may_overlap():
    said = [
        (80.2, "Successfully installed torch"),
        (85.4, "[1/3] data ..."),
        (90.0, "data: drawing emoji: 100%"),
        (105.6, "[1/3] data: done in 20 s"),
        (105.7, "[2/3] cloud ..."),
        (105.8, "[3/3] student control ..."),
        (150.0, "[3/3] student control: done in 44 s"),
        (230.1, "[2/3] cloud: done in 124 s"),
        (231.2, ""),
    ]
    assert timeline(iter(said)) == {
        "installed": 85,
        "stages": {"data": [85, 106], "student control": [106, 150], "cloud": [106, 230]},
        "seconds": 231,
    }


def test_a_run_with_nothing_to_do_has_no_time_to_tell():
    with pytest.raises(ValueError, match="empty cache"):
        timeline(iter([(1.0, "[1/1] data: up to date")]))
