"""A loss is a loss and a gain is a gain, whatever sign a figure has."""

import math

import pytest

from hetero.display.wording import change_in_words, range_of_change


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (0.021, "loses 2.10 %"),
        (-0.1438, "gains 14.38 %"),
        (0.0, "no change"),
        (-0.0, "no change"),
        (4.9e-5, "no change"),
        (-4.9e-5, "no change"),
        (5.1e-5, "loses 0.01 %"),
        (-5.1e-5, "gains 0.01 %"),
        (1.0, "loses 100.00 %"),
        (math.nan, "unknown"),
        (math.inf, "unknown"),
    ],
)
def test_a_share(loss: float, told: str) -> None:
    assert change_in_words(loss, digits=2, percent=True) == told


def test_a_difference() -> None:
    assert change_in_words(0.01674) == "loses 0.0167"
    assert change_in_words(-0.01674) == "gains 0.0167"
    assert change_in_words(0.567, digits=3) == "loses 0.567"


@pytest.mark.parametrize(
    ("low", "high", "told"),
    [(-0.01, 0.041, "-0.0410 to +0.0100"), (0.0, 0.02, "-0.0200 to 0.0000"), (-0.3, -0.1, "+0.1000 to +0.3000")],
)
def test_an_interval_is_that_of_the_change(low: float, high: float, told: str) -> None:
    assert range_of_change(low, high) == told


def test_an_interval_in_per_cent() -> None:
    assert range_of_change(-0.0042, 0.0155, digits=2, percent=True) == "-1.55 to +0.42 %"
