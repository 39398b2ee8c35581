"""Tasks and what is made of them."""

from __future__ import annotations

import numpy as np

from hetero.metrics.task import RetrievalTask, both_ways

LABELS = np.array([0, 1, 0, 1, 2])


def test_each_task_is_asked_the_other_way_round_too():
    across = RetrievalTask("a>b", np.array([0, 1]), np.array([2, 3, 4]))
    first, turned = both_ways([across], LABELS)
    assert first == across
    # Class 2 is in the gallery only: nothing could be found for it.
    assert (turned.name, turned.query.tolist(), turned.gallery.tolist()) == ("a>b, turned", [2, 3], [0, 1])


def test_what_leaves_one_out_or_has_no_counterparts_is_not_turned():
    own = RetrievalTask("all", np.arange(4), np.arange(4), exclude_self=True)
    assert both_ways([own, RetrievalTask("a>b", np.array([0]), np.array([1]))], LABELS)[2:] == ()
