"""What people write is held to the same constraints in a file and in Python."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

import hetero
from hetero.errors import InputError
from hetero.mistakes import Mistake, attempt, without
from hetero.nas.algorithms.algorithm import AlgorithmConfig
from hetero.nas.cost.latency_table import RuntimeTable
from hetero.nas.evaluation.workers_config import WorkersConfig
from hetero.pipeline.recipe import ExportConfig, VerifyConfig
from hetero.schema import parse, parse_rest
from hetero.training.config import CloudConfig, HeadConfig, StudentConfig, TrainingConfig


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: hetero.TrainingConfig(learning_rate=math.nan), "learning_rate: expected a finite number, got nan"),
        (lambda: hetero.TrainingConfig(learning_rate=0.0), "learning_rate: expected a number above 0, got 0.0"),
        (lambda: hetero.TrainingConfig(threads=-1), "threads: expected 0 or more, got -1"),
        (lambda: hetero.TrainingConfig(weight_decay=-1.0), "weight_decay: expected 0 or more, got -1.0"),
        (lambda: hetero.TrainingConfig(clip=-1.0), "clip: expected 0 or more, got -1.0"),
        (lambda: hetero.TrainingConfig(clip=math.inf), "clip: expected a finite number, got inf"),
        (lambda: hetero.TrainingConfig(warmup=1.5), "warmup: expected at most 1, got 1.5"),
        (lambda: hetero.Preprocessing(10**9, 32), "height: expected at most 8192, got 1000000000"),
        (lambda: hetero.Preprocessing(0, 32), "height: expected 1 or more, got 0"),
        (lambda: hetero.Preprocessing(32, 32, std=(0.0, 1.0, 1.0)), "std.0: expected a number above 0, got 0.0"),
        (lambda: hetero.Preprocessing(32, 32, mean=(127.5, 0.5, 0.5)), "mean.0: expected at most 1, got 127.5"),
        (lambda: hetero.Preprocessing(32, 32, pad_value=300), "pad_value: expected at most 255, got 300"),
        (lambda: hetero.Preprocessing(32, 32, shrink=5), "shrink: expected a divisor of 32 and 32, got 5"),
        (lambda: hetero.DataConfig(kind="emoji", seed=-1), "seed: expected 0 or more, got -1"),
        (lambda: hetero.ModelConfig(width=0.0), "width: expected a number above 0, got 0.0"),
        (lambda: hetero.ModelConfig(family="resnet"), "family: expected one of residual, edge"),
        (lambda: hetero.Stage(channels=8, block="cube"), "block: unknown block 'cube'"),
        (lambda: HeadConfig(scale=0.0), "scale: expected a number above 0, got 0.0"),
        (lambda: StudentConfig("e", max_macs=-1), "max_macs: expected 0 or more, got -1"),
        (lambda: StudentConfig("e", max_macs_share=2.0), "max_macs_share: expected at most 1, got 2.0"),
        (lambda: CloudConfig(copies=-1), "copies: expected 0 or more, got -1"),
        (lambda: ExportConfig(goldens=0), "goldens: expected 1 or more, got 0"),
        (lambda: ExportConfig(formats=()), "formats: expected at least 1, got ()"),
        (lambda: VerifyConfig(floor=-0.1), "floor: expected 0 or more, got -0.1"),
        (lambda: AlgorithmConfig(mutation=0.0), "mutation: expected a number above 0, got 0.0"),
        (lambda: WorkersConfig(processes=0), "processes: expected 1 or more, got 0"),
    ],
)
def test_python_is_told_what_a_file_is_told(make: Callable[[], object], problem: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert [line for line in caught.value.problems if line.startswith(problem)], caught.value


def test_defaults_are_valid_and_values_take_the_declared_type() -> None:
    for kind in (TrainingConfig, HeadConfig, CloudConfig, ExportConfig, VerifyConfig, AlgorithmConfig, WorkersConfig):
        assert kind() == parse(kind, {}, what="it")
    assert repr(parse(TrainingConfig, {"weight_decay": 0}, what="it").weight_decay) == "0.0"
    assert parse(hetero.AugmentConfig, {"scale": [0.9, 1.1]}, what="it").scale == (0.9, 1.1)


def test_a_latency_table_of_negative_or_infinite_costs_is_refused() -> None:
    for number in (-1.0, math.nan, math.inf):
        with pytest.raises(InputError, match=r"operators\.conv"):
            parse(RuntimeTable, {"version": "1", "call": 0.1, "operators": {"conv": number}}, what="table")


def test_what_is_left_without_the_mistakes_is_still_read() -> None:
    value: dict[str, Any] = {"steps": 0, "learning_rate": 0.1, "augment": {"scale": [2.0, 1.0], "flip": 0.5}, "x": 1}
    rest, mistakes = parse_rest(TrainingConfig, value, instead={})
    assert rest == TrainingConfig(learning_rate=0.1)
    assert [str(mistake) for mistake in mistakes] == [
        "steps: expected 1 or more, or 'auto', got 0",
        "augment.scale: expected the smallest value first, got [2.0, 1.0]",
        "x: unknown key",
    ]
    assert value["steps"] == 0, "the input stays"


def test_places_are_taken_out_from_the_end_and_missing_ones_take_their_holder() -> None:
    value = {"a": [{"b": 1}, {"c": 2}, 3, 4], "d": {"e": 5}}
    assert without(value, [("a", 0, "missing"), ("a", 2), ("d", "e")]) == {"a": [{"c": 2}, 4], "d": {}}
    numbers = {"a": list(range(12))}
    assert without(numbers, [("a", 2), ("a", 10)]) == {"a": [0, 1, 3, 4, 5, 6, 7, 8, 9, 11]}


def test_attempts_collect_what_is_wrong() -> None:
    problems: list[str] = []

    def fail() -> None:
        raise InputError("two things are wrong:", ["one", "two"])

    assert attempt(problems, "here", lambda: 3) == 3
    assert attempt(problems, "there", fail) is None
    assert attempt(problems, "else", lambda: hetero.Preprocessing(0, 1)) is None
    assert problems == ["there: two things are wrong:", "  one", "  two", "else: height: expected 1 or more, got 0"]
    assert str(Mistake((), ": unknown")) == "(top level): unknown"


def test_what_does_not_fit_together_in_a_file_is_told_by_its_name() -> None:
    with pytest.raises(InputError, match=r"- shrink: expected a divisor of 32 and 32, got 3"):
        parse(hetero.Preprocessing, {"height": 32, "width": 32, "shrink": 3}, what="preprocess.json")
