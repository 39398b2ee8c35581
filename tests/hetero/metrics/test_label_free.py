"""Retrieval of the cloud's neighbours: by hand in the plane, and against an evaluation by labels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetero.errors import InputError
from hetero.metrics.label_free import neighbour_map
from hetero.metrics.retrieval import evaluate_tasks
from hetero.metrics.task import RetrievalTask

NOWHERE = np.zeros(2, np.float32)


def at(*degrees):
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def leave_one_out(count):
    return RetrievalTask("all", np.arange(count), np.arange(count), exclude_self=True)


def test_by_hand_on_the_circle():
    # Only the first image is asked for. The cloud sees it at 0 degrees: rows 1 and 2 are its two nearest.
    cloud = at(0, 10, 20, 90, 180)
    task = [RetrievalTask("first", np.array([0]), np.arange(1, 5))]
    for seen_at, expected in ((0, 1.0), (60, 0.25), (54, 0.5), (180, 0.0)):
        # At 60 degrees 90 comes first, then 20: (0 + 1/2) / 2. At 54 20, then 90: 1 / 2.
        student = at(seen_at, 0, 0, 0, 0)
        assert neighbour_map(student, cloud, NOWHERE, task, k=2) == pytest.approx(expected), seen_at


def test_the_mean_is_removed_from_the_cloud_but_not_from_what_is_searched():
    center = np.array([10.0, 0.0], np.float32)
    cloud = (center + at(90, 80, 100, -90, -80)).astype(np.float32)
    task = [RetrievalTask("first", np.array([0]), np.arange(1, 5))]
    # As the cloud sees it without its mean, rows 1 and 2 are near, though row 1 is longer than the others.
    student = np.array([[0, 1]] + [[1, 0]] * 4, np.float32)
    assert neighbour_map(student, cloud, center, task, k=2) == 1.0
    along_the_mean = np.array([[1, 0]] * 5, np.float32)  # finds what is longest: rows 1 and 4
    assert neighbour_map(along_the_mean, cloud, center, task, k=2) == 0.5


def test_a_student_that_knows_only_the_mean_finds_what_chance_finds():
    rng = np.random.default_rng(0)
    center = np.array([3.0] + [0] * 7, np.float32)
    cloud = unit(center + rng.normal(size=(300, 8)))
    student = unit(center + 0.01 * rng.normal(size=(300, 8)))
    assert (student * cloud).sum(axis=1).mean() > 0.7
    middle = cloud.mean(axis=0)
    assert neighbour_map(student, cloud, middle, [leave_one_out(300)]) < 0.03
    assert neighbour_map(cloud, cloud, middle, [leave_one_out(300)]) > 0.6


@settings(max_examples=30)
@given(st.integers(0, 10**6), st.integers(2, 4))
def test_where_classes_are_the_clouds_neighbours_it_is_map_at_r(seed, each):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(4), each)
    cloud = unit(10 * np.eye(4)[labels] + 0.1 * rng.normal(size=(4 * each, 4)))
    student = unit(rng.normal(size=cloud.shape))
    tasks = [leave_one_out(len(labels))]
    by_label = evaluate_tasks(student, cloud, labels, tasks).mean("map@r")
    assert neighbour_map(student, cloud, np.zeros(4, np.float32), tasks, k=each - 1) == pytest.approx(by_label)


def test_copies_search_for_their_originals_neighbours_and_tasks_weigh_the_same():
    rng = np.random.default_rng(1)
    originals = rng.normal(size=(12, 3))
    cloud = unit(np.concatenate([originals, originals + 0.05 * rng.normal(size=(12, 3))]))
    center = cloud[:12].mean(axis=0)
    copies = RetrievalTask("altered>original", np.arange(12, 24), np.arange(12))
    few = RetrievalTask("few", np.arange(12, 14), np.arange(12))
    student = unit(rng.normal(size=cloud.shape))
    apart = [neighbour_map(student, cloud, center, [task]) for task in (copies, few)]
    assert neighbour_map(student, cloud, center, [copies, few]) == pytest.approx(np.mean(apart))
    assert neighbour_map(cloud, cloud, center, [copies]) > max(apart)


def test_no_task_is_refused():
    with pytest.raises(InputError, match="expected at least one retrieval task"):
        neighbour_map(at(0), at(0), NOWHERE, [])
