"""Which points each step trains: decided by seed and step, of one kind, and more of the space as training goes on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hetero.nas.space.architecture import Architecture
from hetero.nas.space.file import built_in_space
from hetero.nas.supernet.paths import Paths
from tests.hetero.nas.tiny import SPACE

DEMO = dataclasses.replace(built_in_space("demo"), kind=("inverted_residual", "shuffle"))


def largest(kind: str) -> Architecture:
    return dataclasses.replace(DEMO, kind=(kind,)).largest


def changed(point: Architecture) -> float:
    """Share of the largest point's choices that a point has otherwise."""
    own, most = DEMO.values(point), DEMO.values(largest(point.kind))
    return float(np.mean([own.get(gene) != value for gene, value in most.items()]))


def test_paths_follow_from_seed_and_step():
    uniform = Paths(SPACE, "uniform", 2, seed=1)
    drawn = [uniform.of(step) for step in range(6)]
    assert drawn == [uniform.of(step) for step in range(6)]
    assert len({points[0] for points in drawn}) > 4 and all(len(points) == 1 for points in drawn)
    assert drawn != [Paths(SPACE, "uniform", 2, seed=2).of(step) for step in range(6)]


def test_the_sandwich_holds_the_largest_and_smallest_of_one_kind():
    for step in range(8):
        most, least, *random = Paths(SPACE, "sandwich", 2, seed=1).of(step)
        space = dataclasses.replace(SPACE, kind=(most.kind,))
        assert (most, least) == (space.largest, space.smallest)
        assert len(random) == 2 and all(point in space for point in random)


@pytest.mark.parametrize("opening", [0, 300])
def test_every_kind_is_trained_as_often(opening):
    kinds = [Paths(DEMO, "uniform", 2, seed=0, opening=opening).of(step)[0].kind for step in range(400)]
    assert 160 < kinds.count("shuffle") < 240


def test_the_space_opens_from_its_largest_points():
    paths = Paths(DEMO, "uniform", 2, seed=0, opening=1000)
    assert paths.of(0)[0] in [largest(kind) for kind in DEMO.kind]
    early, half, open_, later = (
        np.mean([changed(paths.of(step)[0]) for step in range(first, first + 100)]) for first in (50, 450, 1000, 5000)
    )
    assert early < 0.2 < half < open_ - 0.1
    at_once = np.mean([changed(Paths(DEMO, "uniform", 2, seed=1).of(step)[0]) for step in range(200)])
    assert abs(open_ - at_once) < 0.05 and abs(later - at_once) < 0.05
