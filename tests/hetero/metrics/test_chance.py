"""Chance, counted by hand."""

import numpy as np
import pytest

from hetero.metrics.chance import chance_of_rank_one, share_relevant
from hetero.metrics.task import RetrievalTask

LABELS = np.array([0, 1, 2, 3, 0, 1, 2, 3])


def test_the_query_itself_is_left_out():
    everything = RetrievalTask("all", np.arange(8), np.arange(8), exclude_self=True)
    assert chance_of_rank_one(LABELS, (everything,)) == pytest.approx(1 / 7)


def test_each_query_has_its_own_chance():
    task = RetrievalTask("q>g", np.array([0, 1]), np.array([4, 5, 6, 0]))
    assert share_relevant(LABELS, task).tolist() == [0.5, 0.25]
    assert chance_of_rank_one(LABELS, (task,)) == 0.375
