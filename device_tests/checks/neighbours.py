"""Does the drift of an embedding use up the margin of its nearest neighbour?

The nearest gallery vector is nearer than the next by a margin. A drift below half of it cannot change which is
nearest (triangle inequality on the sphere), but most larger ones do not either: only their part along the line
between the two counts, which in many dimensions is small. So the neighbours that are lost are counted.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from device_tests.checks.limit import Gated, Judgement, at_most, queries_for_floor, shown
from device_tests.checks.margins import SAME
from export.goldens import Goldens
from export.telling import mistaken
from hetero.evaluation.bootstrap import Interval, mean_interval
from hetero.evaluation.retrieval import TaskResult, rows_of_self
from hetero.evaluation.search import search
from hetero.evaluation.task import RetrievalTask

_LOST = "neighbours_lost"


def lost_neighbours(goldens: Goldens, queries: Float32[NDArray[np.float32], "q d"]) -> TaskResult | None:
    """For each query 1 when its nearest gallery image is another one than for torch's query, else 0.

    Queries whose two nearest gallery vectors are equally near to rounding have no neighbour to lose and are left out.

    Args:
        goldens: With the cloud's gallery.
        queries: The device's vectors of :attr:`Goldens.query_rows`.

    Returns:
        The metric ``neighbours_lost``; None when no query is left.
    """
    device = np.zeros_like(goldens.retrieval_student)
    device[goldens.query_rows] = queries
    found = {task.name: _lost(goldens, task, device) for task in goldens.tasks}
    found = {name: pair for name, pair in found.items() if len(pair[0])}
    if not found:
        return None
    values, labels = zip(*found.values(), strict=True)
    return TaskResult(tuple(found), tuple({_LOST: each} for each in values), tuple(labels))


def neighbours_gate(lost: TaskResult | None, limit: float, *, same: bool = False) -> Gated:
    """A share of the nearest neighbours may be lost at most.

    Args:
        lost: As :func:`lost_neighbours` gives it.
        limit: The largest share.
        same: Whether the vectors are torch's to rounding, so that no number of queries has to show it.
    """
    if lost is None:
        told = "no query has a nearest gallery image that is nearer than the next"
        return Gated(Interval(0.0, 0.0, 0.0), Judgement("within" if same else "open", 1), told)
    values = lost.per_query(_LOST)
    share = mean_interval(values, clusters=lost.clusters(lost.resampled))
    count, gone = sum(map(len, values)), int(sum(each.sum() for each in values))
    told = (
        f"{gone} of {count} queries have another nearest gallery image than torch's, "
        f"a share of {shown(share)}; allowed is {limit:g}"
    )
    least = 1 if same else queries_for_floor(1 - limit)
    return Gated(share, at_most(share, limit, queries=count, least=least), told)


def mistaken_gate(
    golden: Float32[NDArray[np.float32], "n d"], torch: Float32[NDArray[np.float32], "n d"], limit: float
) -> Gated:
    """A share of the golden images may be nearer to torch's vector of another one than to their own at most."""
    confused = mistaken(golden, torch).astype(np.float64)
    share = mean_interval(confused) if len(confused) else Interval(0.0, 0.0, 0.0)
    told = (
        f"{int(confused.sum())} of {len(confused)} golden images are nearer to torch's embedding of another one than "
        f"to that of their own; a share of {limit:g} is allowed"
    )
    return Gated(share, at_most(share, limit, queries=len(confused)), told, unit="golden images")


def _lost(
    goldens: Goldens, task: RetrievalTask, device: Float32[NDArray[np.float32], "m d"]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Values and classes of the queries that have a neighbour to lose."""
    gallery = goldens.retrieval_cloud[task.gallery]
    exclude = rows_of_self(task) if task.exclude_self else None
    if len(gallery) - task.exclude_self < 2:
        return np.zeros(0), np.zeros(0, np.int64)
    torch = search(goldens.retrieval_student[task.query], gallery, 2, exclude=exclude)
    found = search(device[task.query], gallery, 1, exclude=exclude)
    told_apart = torch.scores[:, 0] - torch.scores[:, 1] > SAME
    lost = (found.rows[:, 0] != torch.rows[:, 0]).astype(np.float64)
    return lost[told_apart], goldens.retrieval_labels[task.query][told_apart]
