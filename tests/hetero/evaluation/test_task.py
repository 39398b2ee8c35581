"""Tasks asked both ways."""

from __future__ import annotations

import numpy as np

from hetero.evaluation.task import RetrievalTask, both_ways


def test_each_task_is_asked_the_other_way_round_too():
    task = RetrievalTask("colour>line", np.array([0, 1]), np.array([2, 3, 4]))
    there, back = both_ways([task])
    assert there is task
    assert (back.name, back.query.tolist(), back.gallery.tolist()) == ("colour>line, turned", [2, 3, 4], [0, 1])


def test_leave_one_out_has_one_way():
    task = RetrievalTask("all", np.arange(3), np.arange(3), exclude_self=True)
    assert both_ways([task]) == (task,)
