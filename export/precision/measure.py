"""The effect of a quantisation on retrieval, query by query, with its uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray

from export.precision.calibration import Calibration
from hetero.errors import InputError
from hetero.metrics.bootstrap import Interval, difference_interval, function_interval
from hetero.metrics.retrieval import evaluate_tasks
from hetero.metrics.top_overlap import nearest, overlap

METRIC = "map@r"
PerTask = list[Float64[np.ndarray, " _"]]


@dataclass(frozen=True, eq=False)
class Measured:
    """Figures of a quantised model's queries in the cloud's gallery; lists have one array per task, a value per query.

    Attributes:
        precision: The map@r of the quantised model.
        whole: The float32 model's map@r of the same queries.
        overlap: Share of the float32 model's ten nearest that are among its own.
        angle: Mean angle to the float32 model's vectors, in degrees.
        classes: Number of the queries' classes.
    """

    precision: PerTask
    whole: PerTask
    overlap: PerTask
    angle: float
    classes: int

    @property
    def queries(self) -> int:
        """Number of queries, over all tasks."""
        return sum(len(values) for values in self.whole)

    @cached_property
    def loss(self) -> Interval:
        """Share of the float32 model's map@r that is lost, with its 95 % interval; negative when it gains."""
        try:
            return function_interval([self.precision, self.whole], lambda means: 1 - means[:, 0] / means[:, 1])
        except InputError:  # the float32 model finds nothing that could be lost
            return Interval(0.0, 0.0, 0.0)

    @cached_property
    def mean_overlap(self) -> float:
        """Return the mean over tasks of each task's mean overlap@10."""
        return _mean(self.overlap)

    def behind(self, other: Measured) -> bool:
        """True if map@r is lower than another's by more than noise: the paired 95 % interval lies below zero."""
        return difference_interval(self.precision, other.precision).high < 0

    def overlap_gain(self, other: Measured) -> Interval:
        """Return overlap@10 less another's, with its paired 95 % interval."""
        return difference_interval(self.overlap, other.overlap)


class Yardstick:
    """A comparison of vectors of some calibration queries with torch's.

    Args:
        calibration: Images and the cloud's gallery.
        rows: Rows of the queries.
    """

    def __init__(self, calibration: Calibration, rows: Int64[np.ndarray, " q"]) -> None:
        self.rows = rows
        self._calibration = calibration
        tasks = [replace(task, query=task.query[np.isin(task.query, rows)]) for task in calibration.retrieval.tasks]
        self._tasks = [task for task in tasks if len(task.query)]
        self._whole = self._precision(calibration.torch)
        self._nearest = nearest(calibration.torch, calibration.retrieval.cloud_embeddings, self._tasks)

    def measure(self, vectors: Float32[np.ndarray, "q d"]) -> Measured | None:
        """Return figures of vectors of :attr:`rows`; None if some are not finite."""
        if not np.isfinite(vectors).all():
            return None
        queries = self._calibration.torch.copy()
        queries[self.rows] = vectors
        return Measured(
            precision=self._precision(queries),
            whole=self._whole,
            overlap=overlap(nearest(queries, self._calibration.retrieval.cloud_embeddings, self._tasks), self._nearest),
            angle=mean_angle(vectors, self._calibration.torch[self.rows]),
            classes=len(np.unique(self._calibration.retrieval.labels[self.rows])),
        )

    def _precision(self, queries: Float32[np.ndarray, "m d"]) -> PerTask:
        retrieval = self._calibration.retrieval
        return evaluate_tasks(queries, retrieval.cloud_embeddings, retrieval.labels, self._tasks).per_query(METRIC)


def mean_angle(these: Float32[np.ndarray, "q d"], those: Float32[np.ndarray, "q d"]) -> float:
    """Return the mean angle between unit vectors, in degrees."""
    # By the chord, which is exact for small angles, where the cosine is not.
    chords = np.linalg.norm(these.astype(np.float64) - those, axis=1)
    return float(np.degrees(2 * np.arcsin(np.minimum(chords / 2, 1))).mean())


def _mean(tasks: Sequence[NDArray[np.float64]]) -> float:
    return float(np.mean([values.mean() for values in tasks]))
