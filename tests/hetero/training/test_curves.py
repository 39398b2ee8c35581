"""What curves say, on curves whose story is known."""

import math

import numpy as np
import pytest

from hetero.training.judging.curves import FLAT, GAP, LOW, RISING, Look, advice, flattened
from hetero.training.judging.judgement import Judgement


def curve(figures):
    return [Look(turn + 1, Judgement("map@r", {"map@r": figure})) for turn, figure in enumerate(figures)]


def beside(training, held_out):
    return [
        Look(turn + 1, Judgement("map@r", {"map@r": 0.5, "agreement": kept}), shown)
        for turn, (shown, kept) in enumerate(zip(training, held_out, strict=True))
    ]


def saturating(top, looks=20, pace=3.0):
    return [top * (1 - math.exp(-pace * (turn + 1) / looks)) for turn in range(looks)]


def test_a_curve_flattens_when_quarters_differ_by_less_than_a_fiftieth():
    assert FLAT == 0.02
    assert not flattened(curve([0.5] * 7))  # too few looks to say
    assert flattened(curve([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.505, 0.515]))  # .510 against .500
    assert not flattened(curve([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.52, 0.52]))  # .520 against .500
    assert flattened(curve([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.4, 0.4]))  # falling is no reason to go on
    assert flattened(curve([0.0] * 8)) is False  # nothing has been learnt yet


def test_both_curves_have_to_flatten_where_both_are_known():
    flat, rising = [0.5] * 12, [0.1 * turn for turn in range(12)]
    for figure, agreed, expected in ((flat, flat, True), (flat, rising, False), (rising, flat, False)):
        figures = [{"map@r": one, "agreement": other} for one, other in zip(figure, agreed, strict=True)]
        assert flattened([Look(turn, Judgement("map@r", each)) for turn, each in enumerate(figures)]) is expected


def test_a_steady_rise_does_not_flatten_and_one_with_the_logarithm_does():
    assert not any(flattened(curve([0.01 * turn for turn in range(count)])) for count in range(1, 60))
    # A doubling adds .02; the quarters' middles lie log2(7 / 5) = .485 doublings apart: .0097, a fiftieth of .485.
    logarithm = [0.3 + 0.02 * math.log2(turn) for turn in range(1, 2000)]
    ends = next(count for count in range(8, 2000, 4) if flattened(curve(logarithm[:count])))
    assert logarithm[round(ends * 7 / 8)] == pytest.approx(0.485, abs=0.01)


def test_noise_of_a_single_look_ends_nothing():
    rng = np.random.default_rng(0)
    rising = np.linspace(0.1, 0.5, 24)
    for _ in range(50):
        noisy = rising + rng.normal(0, 0.01, 24)
        assert not any(flattened(curve(noisy[:count].tolist())) for count in range(8, 25))


def test_a_curve_that_still_rises_asks_for_more_steps():
    (line,) = advice(beside([0.05 * turn for turn in range(12)], [0.05 * turn for turn in range(12)]))
    assert line == "train longer: held-out agreement rose by 0.15 in the last quarter of the steps"


def test_a_rise_while_the_rate_falls_asks_for_nothing():
    flat_then_falling = [0.1, 0.3, 0.5, 0.6, 0.65, 0.65, 0.65, 0.65, 0.65, 0.7, 0.75, 0.8]
    looks = beside(flat_then_falling, flat_then_falling)
    assert advice(looks) == ("train longer: held-out agreement rose by 0.15 in the last quarter of the steps",)
    assert advice(looks, decay_from=9) == ()
    rising = beside([0.05 * turn for turn in range(12)], [0.05 * turn for turn in range(12)])
    (line,) = advice(rising, decay_from=9)
    assert line == "train longer: held-out agreement rose by 0.10 in the last quarter of the steps at the full rate"


def test_a_gap_asks_for_more_images():
    (line,) = advice(beside(saturating(0.9, pace=8.0), saturating(0.9 - GAP - 0.05, pace=8.0)))
    assert line == "more photos or more copies of them: agreement is 0.90 in training and 0.75 held out"
    assert "more photos" not in str(advice(beside(saturating(0.8, pace=8.0), saturating(0.75, pace=8.0))))


def test_rising_with_a_gap_asks_for_both():
    both = advice(beside([0.08 * turn for turn in range(12)], [0.05 * turn for turn in range(12)]))
    assert [line.split(":")[0] for line in both] == ["train longer", "more photos or more copies of them"]


def test_low_and_flat_asks_for_a_larger_student():
    (line,) = advice(beside(saturating(LOW - 0.1, pace=8.0), saturating(LOW - 0.12, pace=8.0)))
    assert line == "a larger student: agreement with the cloud has stopped at 0.50 on training images, too"
    still_rising = beside(saturating(LOW - 0.1, pace=2.0), saturating(LOW - 0.12, pace=2.0))
    assert all("larger" not in line for line in advice(still_rising))


@pytest.mark.parametrize("level", [LOW, 0.8])
def test_a_good_student_gets_no_advice(level):
    flat = [level + RISING / 10 * (turn % 2) for turn in range(12)]
    assert advice(beside(flat, [each - 0.01 for each in flat])) == ()


def test_nothing_is_said_of_what_is_not_known():
    assert advice(curve([0.1 * turn for turn in range(12)])) == ()
    assert advice(beside([0.1] * 7, [0.1] * 7)) == ()
    assert advice([Look(turn, Judgement("agreement", {"agreement": 0.1 * turn})) for turn in range(12)]) == ()
