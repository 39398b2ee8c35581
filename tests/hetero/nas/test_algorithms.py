"""Algorithms on a reward that is known for every point: deterministic, within the budget, better than chance."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import pytest

from hetero.errors import InputError
from hetero.nas.algorithms.algorithm import AlgorithmConfig, follow
from hetero.nas.algorithms.allowed import Allowed
from hetero.nas.algorithms.registry import propose
from hetero.nas.cost.budget import Budget
from hetero.nas.evaluation.evaluations import Evaluations
from hetero.nas.evaluation.workers import Here, workers
from hetero.nas.evaluation.workers_config import WorkersConfig
from hetero.nas.search import Search
from hetero.nas.space.architecture import Architecture
from hetero.nas.space.space import SearchSpace
from hetero.nas.space.stage_space import StageSpace

STAGE = StageSpace(channels=(8, 16, 24), depth=(1, 2), kernel=(3, 5, 7), expansion=(1.0, 2.0, 3.0))
SPACE = SearchSpace(stages=(STAGE, STAGE))
NAMES = ("evolution", "regularised", "random", "pareto")
SMALL = {"population": 10, "generations": 6, "parents": 4, "tournament": 4}


def costs(point: Architecture) -> dict[str, float]:
    """Something that every choice adds to."""
    blocks = [(stage, block) for stage in point.stages for block in stage.blocks]
    macs = sum(stage.channels * (block.kernel**2 + 10 * block.expansion) for stage, block in blocks)
    return {"macs": float(macs), "parameters": float(macs)}


def reward(point: Architecture) -> dict[str, float]:
    """Wide is good, and so are kernels of 5: there is something to find within a budget."""
    blocks = [block for stage in point.stages for block in stage.blocks]
    value = sum(stage.channels for stage in point.stages) / 48 + sum(block.kernel == 5 for block in blocks) / 4
    return {"r1": -value, "r2": value, "r3": value}


def search(name: str, budgets: dict[str, str] | None = None, seed: int = 0, **options: object) -> Search:
    chosen = budgets or {"watch": "macs <= 1200"}
    return Search(
        SPACE,
        {tier: Budget.parse(text) for tier, text in chosen.items()},
        costs,
        AlgorithmConfig(name=name, **{**SMALL, **options}),
        "r2",
        seed,
    )


@functools.cache
def proposed(name: str, seed: int = 0) -> list[Architecture]:
    allowed = Allowed(SPACE, Budget.parse("macs <= 1200"), costs)
    batches = follow(
        propose(allowed, AlgorithmConfig(name=name, **SMALL), seed), lambda batch: [reward(one)["r2"] for one in batch]
    )
    return [point for batch in batches for point in batch]


@pytest.mark.parametrize("name", NAMES)
def test_a_seed_decides_everything_that_is_proposed(name):
    assert proposed(name) == proposed.__wrapped__(name)
    assert proposed(name) != proposed(name, seed=1)


@pytest.mark.parametrize("name", NAMES)
def test_every_proposal_is_a_point_within_the_budget(name):
    points = proposed(name)
    assert len(points) == 60
    assert all(point in SPACE and costs(point)["macs"] <= 1200 for point in points)


@pytest.mark.parametrize("name", ["evolution", "regularised", "random"])
def test_nothing_is_proposed_twice_in_a_large_space(name):
    points = proposed(name)
    assert len(set(points)) == len(points)


@pytest.mark.parametrize("name", ["evolution", "regularised", "pareto"])
def test_breeding_finds_better_points_than_it_started_from(name):
    points = proposed(name)
    first, last = ([reward(one)["r2"] for one in some] for some in (points[:10], points[-10:]))
    assert np.mean(last) > np.mean(first) + 0.1
    assert max(last) >= max(first)


def test_the_pareto_mode_keeps_cheap_points_as_well_as_good_ones():
    last = proposed("pareto")[-10:]
    macs = [costs(one)["macs"] for one in last]
    assert min(macs) < 0.6 * max(macs)


def test_a_tight_budget_is_met_although_hardly_any_random_point_meets_it(tmp_path):
    smallest = costs(SPACE.smallest)["macs"]
    tight = search("random", {"watch": f"macs <= {smallest + 1}"}, population=3, generations=1)
    found = tight.run(Evaluations(tmp_path, "x"), Here(reward))
    assert found.winners["watch"].architecture == SPACE.smallest


def test_a_budget_below_the_smallest_network_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"watch: macs <= 1"):
        search("random", {"watch": "macs <= 1"}).run(Evaluations(tmp_path, "x"), Here(reward))


def test_each_tier_gets_the_best_of_all_that_was_evaluated(tmp_path):
    found = search("evolution", {"watch": "macs <= 600", "phone": "macs <= 1500"}).run(
        Evaluations(tmp_path, "x"), Here(reward)
    )
    for tier, most in (("watch", 600), ("phone", 1500)):
        values = [one.figures["r2"] for one in found.candidates if one.costs["macs"] <= most]
        assert found.winners[tier].figures["r2"] == max(values)
    assert found.winners["phone"].figures["r2"] >= found.winners["watch"].figures["r2"]


class KilledError(Exception):
    pass


class Dying(Here):
    """Evaluates so many candidates, then dies."""

    def __init__(self, most: int) -> None:
        super().__init__(reward)
        self.left = most

    def evaluate(self, points: Sequence[Architecture]):
        for point in points:
            if not self.left:
                raise KilledError
            self.left -= 1
            yield point, reward(point)


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_search_continues_with_nothing_lost(tmp_path, name):
    whole = search(name).run(Evaluations(tmp_path / "whole", "x"), Here(reward))
    with pytest.raises(KilledError):
        search(name).run(Evaluations(tmp_path / "killed", "x"), Dying(23))
    known = Evaluations(tmp_path / "killed", "x")
    assert len(known) == 23
    rest = Dying(len(whole.candidates) - 23)
    assert search(name).run(known, rest) == whole
    assert rest.left == 0


def test_a_finished_search_is_replayed_without_evaluating(tmp_path):
    whole = search("evolution").run(Evaluations(tmp_path, "x"), Here(reward))
    assert search("evolution").run(Evaluations(tmp_path, "x"), Dying(0)) == whole


@pytest.mark.slow
def test_several_processes_find_what_one_finds(tmp_path):
    alone = search("evolution").run(Evaluations(tmp_path / "one", "x"), Here(reward))
    with workers(reward, WorkersConfig(processes=2)) as some:
        assert search("evolution").run(Evaluations(tmp_path / "two", "x"), some) == alone


def test_no_process_is_refused():
    with pytest.raises(InputError, match="processes: expected 1 or more, got 0"):
        workers(reward, WorkersConfig(processes=0))


def test_senseless_options_are_all_named():
    with pytest.raises(InputError) as caught:
        AlgorithmConfig(population=0, generations=0, mutation=0.0)
    assert len(caught.value.problems) == 3
