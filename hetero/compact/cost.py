"""What fewer dimensions and bits cost: students' queries in the smaller gallery, against the same in the whole one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from hetero.compact.codes import BITS, PRECISIONS, Precision, nearest
from hetero.compact.derived import DerivedSpace
from hetero.errors import InputError
from hetero.metrics.bootstrap import Interval, difference_interval
from hetero.metrics.nearest import search
from hetero.metrics.retrieval import FEWEST_CLASSES
from hetero.schema import record


@record
class Cost:
    """The figure of one way to store a gallery.

    Attributes:
        kind: Kind of rotation.
        dimension: Number of coordinates.
        precision: Precision of each.
        bytes: Bytes that a search reads of a vector; to rescore signs there is a byte a coordinate more on the disk.
        metric: Name of the figure.
        value: The figure.
        whole: The same queries' in the whole gallery, in float32.
        loss: ``value - whole``, with its paired 95 % bootstrap interval.
        queries: Number of queries.
        over: What was resampled.
    """

    kind: str
    dimension: int
    precision: str
    bytes: float
    metric: str
    value: float
    whole: float
    loss: Interval
    queries: int
    over: str


@dataclass(frozen=True)
class QuerySet:
    """Queries in the whole space, and what each should find.

    Attributes:
        query: float32 [q, d], unit vectors of the parent space, by a student.
        gallery: float32 [n, d], unit vectors of the parent space, by the cloud.
        own: int64 [q], the row that is the query itself, which it does not find; -1 for none.
        query_labels: int64 [q], classes. None where they are not known: a query should find what it finds in the whole
            gallery.
        labels: int64 [n], classes of the gallery.
    """

    query: Float32[np.ndarray, "q d"]
    gallery: Float32[np.ndarray, "n d"]
    own: Int64[np.ndarray, " q"]
    query_labels: Int64[np.ndarray, " q"] | None = None
    labels: Int64[np.ndarray, " n"] | None = None

    def __post_init__(self) -> None:
        if not len(self.query) or len(self.gallery) < 2:
            raise InputError(
                f"expected queries and at least two vectors to find, got {len(self.query)} and {len(self.gallery)}"
            )

    @property
    def figure(self) -> str:
        """The name of the figure, without its k."""
        return "first answers kept" if self.query_labels is None else "cmc"

    def hits(self, rows: Int64[np.ndarray, "q k"], first: Int64[np.ndarray, "q _"]) -> Float64[np.ndarray, " q"]:
        """Return 1 for each query that finds what it should among some rows, and 0 for others.

        Args:
            rows: What it finds.
            first: What it finds first in the whole gallery.
        """
        if self.query_labels is None or self.labels is None:
            return (rows == first[:, :1]).any(axis=1).astype(np.float64)
        return (self.labels[rows] == self.query_labels[:, None]).any(axis=1).astype(np.float64)


def costs(
    query_set: QuerySet,
    derived: DerivedSpace,
    *,
    ks: Sequence[int] = (1, 10),
    precisions: Sequence[Precision] = PRECISIONS,
    seed: int = 0,
) -> list[Cost]:
    """Measure each precision of a derived space, by an exact search.

    Args:
        query_set: The queries. They are rotated as a student's folded layer does it.
        derived: The smaller space.
        ks: The k of the figures.
        precisions: Those to measure.
        seed: Seed of the intervals.
    """
    depth = min(max(ks), len(query_set.gallery) - bool((query_set.own >= 0).any()))
    whole = search(query_set.query, query_set.gallery, depth, exclude=query_set.own).rows
    query, gallery = (derived.rotation(side, derived.space.dimension) for side in (query_set.query, query_set.gallery))
    classes = query_set.query_labels
    if classes is not None and len(np.unique(classes)) < FEWEST_CLASSES:
        classes = None
    rows: list[Cost] = []
    for precision in precisions:
        smaller = nearest(query, gallery, precision, depth, exclude=query_set.own)
        for k in ks:
            new, old = (query_set.hits(answer[:, :k], whole) for answer in (smaller, whole))
            rows.append(
                Cost(
                    kind=derived.rotation.kind,
                    dimension=derived.space.dimension,
                    precision=precision,
                    bytes=derived.space.dimension * BITS[precision] / 8,
                    metric=f"{query_set.figure}@{k}",
                    value=float(new.mean()),
                    whole=float(old.mean()),
                    loss=difference_interval(new, old, clusters=classes, seed=seed),
                    queries=len(new),
                    over="queries" if classes is None else "classes",
                )
            )
    return rows
