"""The learning rate and the end of a training, step by step."""

import math

import pytest

from hetero.errors import InputError
from hetero.schema import parse
from hetero.training.config import TrainingConfig
from hetero.training.judging.curves import Look
from hetero.training.judging.judgement import Judgement
from hetero.training.optimisation.rates import peak_rate
from hetero.training.optimisation.schedule import Schedule

AUTO = TrainingConfig(steps="auto", max_steps=1000, validate_every=10, warmup=0.1, learning_rate=1.0)


def looks(figures):
    return [Look(10 * (turn + 1), Judgement("x", {"x": figure})) for turn, figure in enumerate(figures)]


def test_the_rate_of_fixed_steps_warms_up_and_falls_along_a_cosine():
    fixed = Schedule(TrainingConfig(steps=100, warmup=0.1, learning_rate=1.0))
    assert fixed.last == 100 and not fixed.is_stable
    assert fixed.rate(5) == pytest.approx(0.5)
    assert fixed.rate(10) == 1.0
    assert fixed.rate(55) == pytest.approx(0.5)
    assert fixed.rate(100) == pytest.approx(0.0)
    assert fixed.after(looks([0.5] * 8)) == fixed


def test_the_rate_of_auto_stays_until_the_curve_has_flattened():
    stable = Schedule(AUTO)
    assert stable.is_stable and stable.last == 1000
    assert [stable.rate(step) for step in (4, 8, 9, 500)] == [0.5, 1.0, 1.0, 1.0]  # warm-up: a tenth of 8 looks
    assert stable.after(looks([0.1, 0.2, 0.3])) == stable
    falling = stable.after(looks([0.1, 0.3, 0.4, 0.45, 0.5, 0.5, 0.5, 0.5]))
    assert (falling.decay_from, falling.last, falling.is_stable) == (80, 104, False)  # 24 is .3 of 80
    assert [falling.rate(step) for step in (80, 86, 104)] == pytest.approx([1.0, 1 - math.sqrt(6 / 24), 0.0])
    assert falling.after(looks([0.1] * 9)) == falling


def test_a_rate_that_stays_is_half_of_one_that_falls_from_the_start():
    assert peak_rate(TrainingConfig(steps="auto")) == 0.5 * peak_rate(TrainingConfig())
    assert peak_rate(TrainingConfig(steps="auto", learning_rate=0.01)) == 0.01


def test_weights_are_candidates_where_the_rate_is_low():
    fixed = Schedule(TrainingConfig(steps=100, candidates_from=0.8))
    assert [fixed.is_candidate(step) for step in (79, 80, 100)] == [False, True, True]
    assert not any(Schedule(AUTO).is_candidate(step) for step in range(1, 1001))
    falling = Schedule(AUTO, decay_from=100)  # to 130
    assert [falling.is_candidate(step) for step in (100, 123, 124, 130)] == [False, False, True, True]
    assert fixed.rate(80) / peak_rate(fixed.config) == pytest.approx(0.117, abs=0.001)
    assert falling.rate(124) == pytest.approx(0.106, abs=0.001)


def test_auto_ends_within_its_largest_number_of_steps():
    rising = [0.01 * 1.1**turn for turn in range(100)]
    schedule, taken = Schedule(AUTO), 0
    while schedule.is_stable:
        taken += 1
        schedule = schedule.after(looks(rising[:taken]))
    assert schedule.decay_from == 760 and schedule.last == 988  # 770 and its .3 are 1001


def test_fewer_steps_than_the_curve_needs_are_refused():
    with pytest.raises(InputError, match=r"max_steps: expected 1040 or more, got 1000"):
        TrainingConfig(steps="auto", max_steps=1000)
    assert TrainingConfig(steps=5, max_steps=1).steps == 5


@pytest.mark.parametrize("steps", [0, "many", 1.5])
def test_steps_are_a_number_or_auto(steps):
    with pytest.raises(InputError) as caught:
        parse(TrainingConfig, {"steps": steps}, what="training")
    assert len(caught.value.problems) == 1
    assert "steps: " in caught.value.problems[0] and ", or 'auto'" in caught.value.problems[0]
