"""The effect of an embedding's drift on its nearest neighbours.

The nearest gallery vector is nearer than the next by a margin. A drift below half of it cannot change which is
nearest (triangle inequality on the sphere), but most larger drifts do not either: only the component along the line
between the two counts, which in many dimensions is small. So the effect is counted instead: a query loses its
neighbours when the gallery image that the device finds nearest is not among the few that torch finds nearest. In
half precision that is the nearest alone. With weights of eight bits or fewer, the margins among the first five are
smaller than the rounding, so changes of order among them are accepted.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from device_tests.checks.margins import SAME
from export.bundle.goldens import Goldens
from export.conversion.telling import mistaken
from hetero.evaluation.limit import Gated, Judgement, at_most, queries_for_loss, shown
from hetero.metrics.bootstrap import Interval, mean_interval
from hetero.metrics.nearest import search
from hetero.metrics.retrieval import TaskResult, rows_of_self
from hetero.metrics.task import RetrievalTask

_LOST = "neighbours_lost"
_HALF = ("fp16",)
_FEW = 5
# In a small gallery, five are too many.
_SHARE = 10
_MISTAKEN = 0.25


def depth_of(precision: str) -> int:
    """Return the number of torch's nearest gallery images among which the device's nearest must be."""
    return 1 if precision in ("fp32", *_HALF) else _FEW


def lost_neighbours(goldens: Goldens, queries: Float32[np.ndarray, "q d"], depth: int) -> TaskResult | None:
    """Return, for each query, 1 if its nearest gallery image is not among those nearest to torch's query, else 0.

    Queries to which all other images are equally near, up to rounding, have no neighbours to lose and are left out.

    Args:
        goldens: The goldens, with the cloud's gallery.
        queries: The device's vectors of :attr:`Goldens.query_rows`.
        depth: Number of nearest images; at most a tenth of the gallery.

    Returns:
        The metric ``neighbours_lost``; None if no query remains.
    """
    device = np.zeros_like(goldens.retrieval_student)
    device[goldens.query_rows] = queries
    nearest_rows = {task.name: _lost(goldens, task, device, depth) for task in goldens.tasks}
    nearest_rows = {name: pair for name, pair in nearest_rows.items() if len(pair[0])}
    if not nearest_rows:
        return None
    values, labels = zip(*nearest_rows.values(), strict=True)
    return TaskResult(tuple(nearest_rows), tuple({_LOST: each} for each in values), tuple(labels))


def neighbours_gate(lost: TaskResult | None, limit: float, *, same: bool = False) -> Gated:
    """Limit the share of queries that lose their nearest neighbours.

    Args:
        lost: The result of :func:`lost_neighbours`.
        limit: The largest share.
        same: True if the vectors are torch's up to rounding, so that no number of queries has to show it.
    """
    if lost is None:
        text = "no query has gallery images that are nearer than others"
        return Gated(Interval(0.0, 0.0, 0.0), Judgement("within" if same else "open", 1), text)
    values = lost.per_query(_LOST)
    share = mean_interval(values, clusters=lost.clusters(lost.resampled))
    count, count_lost = sum(map(len, values)), int(sum(each.sum() for each in values))
    text = (
        f"{count_lost} of {count} queries find an image nearest that is not among torch's nearest, "
        f"a share of {shown(share)}; allowed is {limit:g}"
    )
    weight = max(1 / len(each) for each in values) / len(values)
    least = 1 if same else queries_for_loss(limit, queries=count, weight=weight)
    return Gated(share, at_most(share, limit, queries=count, least=least), text)


def mistaken_gate(golden: Float32[np.ndarray, "n d"], torch: Float32[np.ndarray, "n d"]) -> Gated:
    """Allow one golden image in four to be nearer to torch's vector of another than to its own, for near-copies."""
    confused = mistaken(golden, torch).astype(np.float64)
    share = mean_interval(confused) if len(confused) else Interval(0.0, 0.0, 0.0)
    text = (
        f"{int(confused.sum())} of {len(confused)} golden images are nearer to torch's embedding of another one than "
        f"to that of their own; a share of {_MISTAKEN:g} is allowed"
    )
    return Gated(share, at_most(share, _MISTAKEN, queries=len(confused)), text, unit="golden images")


def _lost(
    goldens: Goldens, task: RetrievalTask, device: Float32[np.ndarray, "m d"], depth: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return values and classes of the queries that have neighbours to lose."""
    gallery = goldens.retrieval_cloud[task.gallery]
    exclude = rows_of_self(task) if task.exclude_self else None
    near = max(1, min(depth, len(gallery) // _SHARE))
    if len(gallery) - task.exclude_self <= near:
        return np.zeros(0), np.zeros(0, np.int64)
    torch = search(goldens.retrieval_student[task.query], gallery, near + 1, exclude=exclude)
    on_device = search(device[task.query], gallery, 1, exclude=exclude)
    told_apart = torch.scores[:, 0] - torch.scores[:, near] > SAME
    losses = (on_device.rows != torch.rows[:, :near]).all(axis=1).astype(np.float64)
    return losses[told_apart], goldens.retrieval_labels[task.query][told_apart]
