"""A limit on partitions leaves out the options that divide a network, and refuses when all do."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hetero.errors import InputError
from hetero.nas.algorithms.algorithm import AlgorithmConfig
from hetero.nas.algorithms.allowed import Allowed
from hetero.nas.algorithms.undivided import undivided
from hetero.nas.cost.budget import Budget
from hetero.nas.evaluation.evaluations import Evaluations
from hetero.nas.evaluation.workers import Here
from hetero.nas.search import Search
from hetero.nas.space.architecture import Architecture
from hetero.nas.space.space import SearchSpace
from hetero.nas.space.stage_space import StageSpace

SPACE = SearchSpace(
    stages=(
        StageSpace(channels=(8, 16), depth=(1, 2), activation=("hardswish", "relu"), squeeze_excite=(False, True)),
        StageSpace(channels=(16, 24), depth=(1, 2), activation=("relu", "hardswish")),
    ),
    kind=("inverted_residual", "shuffle"),
)


def costs(point: Architecture) -> dict[str, float]:
    """Each block with hard-swish makes a piece more, and shuffle blocks with squeeze-excite another."""
    blocks = [(stage, block) for stage in point.stages for block in stage.blocks]
    swish = sum(stage.activation == "hardswish" for stage, _ in blocks)
    gates = sum(block.squeeze_excite for _, block in blocks) * (point.kind == "shuffle")
    return {"macs": float(len(blocks)), "partitions.nnapi": 1.0 + swish + gates}


def points(space: SearchSpace, text: str) -> list[Architecture]:
    allowed, rng = Allowed(space, Budget.parse(text), costs), np.random.default_rng(0)
    return [allowed.sample(rng) for _ in range(50)]


def test_without_such_a_limit_the_space_stays() -> None:
    assert undivided(SPACE, Budget.parse("macs <= 3"), costs) is SPACE


def test_one_partition_leaves_out_what_divides() -> None:
    budget = "partitions.nnapi <= 1"
    space = undivided(SPACE, Budget.parse(budget), costs)
    assert [stage.activation for stage in space.stages] == [("relu",), ("relu",)]
    # What does not divide stays, squeeze-excite too: it divides in shuffle blocks alone.
    assert space.stages[0].squeeze_excite == (False, True)
    assert (space.kind, space.stages[0].depth) == (SPACE.kind, (1, 2))
    assert costs(space.smallest)["partitions.nnapi"] == 1
    found = points(space, budget)
    assert {costs(point)["partitions.nnapi"] for point in found} == {1}
    assert {point.kind for point in found} == {"inverted_residual", "shuffle"}
    assert all(point in SPACE for point in found)


def test_two_partitions_leave_room_for_one_division() -> None:
    budget = "partitions.nnapi <= 2"
    space = undivided(SPACE, Budget.parse(budget), costs)
    assert set(space.stages[0].activation) == {"relu", "hardswish"}
    assert costs(space.smallest)["partitions.nnapi"] == 1
    assert {costs(point)["partitions.nnapi"] for point in points(space, budget)} == {1, 2}


def test_a_space_that_divides_whatever_is_chosen_is_refused(tmp_path: Path) -> None:
    stages = tuple(dataclasses.replace(stage, activation=("hardswish",)) for stage in SPACE.stages)
    space = dataclasses.replace(SPACE, stages=stages)
    budgets = {"watch": Budget.parse("partitions.nnapi <= 2")}
    search = Search(space, budgets, costs, AlgorithmConfig(), "r2")
    with pytest.raises(InputError, match=r"watch.*partitions.nnapi <= 2.*the fewest has 3"):
        search.run(Evaluations(tmp_path, "x"), Here(costs))
