"""A student under ``torchrun``, step by step beside one process, as the benchmark compares them."""

from __future__ import annotations

import pytest

from benchmarks.ranks_against_one import compare


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 3])
def test_several_processes_take_the_steps_of_one(ranks):
    row = compare("student", ranks, 4, "float64")
    assert row["first loss"] > 1.1 * row["last loss"]
    assert row["largest difference of a loss"] < 1e-5
    assert row["of a weight"] < 1e-8
