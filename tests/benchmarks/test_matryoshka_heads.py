"""What the benchmark of Matryoshka heads counts, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.matryoshka_heads import Case, Figures, Vectors, rows
from hetero.lengths import unit
from hetero.metrics.task import RetrievalTask

WHOLE = Case("own_head", "whole", 4)
ROTATED = Case("own_head", "rotation", 2)
FIRST = Case("matryoshka", "first coordinates", 2)
CLUSTERS = [np.array([0, 1])]


def figures() -> Figures:
    """Two seeds and two queries: the whole is right, the rotation in three of four answers, the prefix in one."""
    answers = {WHOLE: ([1, 1], [1, 1]), ROTATED: ([1, 1], [1, 0]), FIRST: ([1, 0], [0, 0])}
    return Figures({case: [[np.array(seed, float)] for seed in seeds] for case, seeds in answers.items()}, CLUSTERS)


def test_the_rotation_finds_what_lies_in_the_last_coordinates() -> None:
    """The first two coordinates of a query are those of the gallery's other vector."""
    gallery, query = np.array([[0.1, 0, 1, 0], [0, 0.1, 0, 1]]), np.array([[0, 0.1, 1, 0], [0.1, 0, 0, 1]])
    query, gallery = (unit(np.tile(one, (2, 1)).astype(np.float32), what="vectors") for one in (query, gallery))
    labels, tasks = np.array([0, 1, 0, 1]), [RetrievalTask("a", np.array([0, 1]), np.array([2, 3]))]
    answers = Vectors({"edge": query}, gallery, gallery).answers("own_head", labels, tasks, lengths=(2,))
    right = {(asker, case.way): values[0].tolist() for asker, case, values in answers}
    assert [right["edge", way] for way in ("whole", "rotation", "first coordinates")] == [[1, 1], [1, 1], [0, 0]]
    assert [right["cloud", way] for way in ("whole", "rotation", "first coordinates")] == [[1, 1]] * 3


def test_a_query_counts_with_its_mean_over_seeds() -> None:
    some = figures()
    assert some.each_seed(ROTATED) == [1, 0.5] and some.mean(ROTATED) == 0.75
    # One query differs by 1/2 and the other by 1/2: whichever is drawn, the difference is the same.
    assert vars(some.difference(ROTATED, FIRST)) == pytest.approx({"value": 0.5, "low": 0.5, "high": 0.5})
    # By 0 and by -1/2: a sample of two classes holds either, or one of each.
    assert vars(some.difference(ROTATED, WHOLE)) == pytest.approx({"value": -0.25, "low": -0.5, "high": 0})


def test_the_first_row_is_what_others_are_compared_with() -> None:
    assert [" | ".join(row) for row in rows({"student": figures()})] == [
        "4 | own_head | whole | 1.000 | ",
        "2 | own_head | rotation | 0.750 | -0.250 [-0.500, +0.000]",
        "2 | matryoshka | first coordinates | 0.250 | -0.750 [-1.000, -0.500]",
        "2 | own_head, rotation | less matryoshka, first coordinates | +0.500 [+0.500, +0.500] | +0.500, +0.500",
    ]
