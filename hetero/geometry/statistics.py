"""Statistics of a cloud of vectors: one record of figures, from which rules derive all advice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Float64, Int64

from hetero.errors import InputError
from hetero.geometry.classes import ClassStatistics, class_statistics
from hetero.geometry.neighbours import NeighbourStatistics, duplicates, neighbour_statistics
from hetero.geometry.principal import NO_ENERGY, Spread, spread
from hetero.lengths import lengths, scaled

SHARES = (0.5, 0.75, 0.9, 0.95)
"""Shares of the centred energy for which the leading directions are counted."""
UNIT = 1e-3
"""Largest difference of a length from one that still counts as one."""
_ALREADY_UNIT = 1e-6
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Lengths:
    """The original Euclidean lengths of vectors: smallest, median and largest."""

    smallest: float
    median: float
    largest: float

    @property
    def is_unit(self) -> bool:
        """True if all are of length one."""
        return max(abs(self.smallest - 1), abs(self.largest - 1)) <= UNIT


@dataclass(frozen=True)
class SpaceStatistics:
    """The figures of a cloud of vectors, each scaled to length one first.

    Attributes:
        count: Number of vectors.
        dimension: Dimension of each vector.
        not_finite: Vectors with a value that is not finite; left out of all other figures.
        zero: Vectors of length zero, without a direction; left out as well.
        lengths: Lengths before scaling.
        mean_length: Length of their mean: 0 for a centred cloud, 1 when all are equal.
        effective_dimension: Participation ratio of the centred covariance's eigenvalues, (sum v)^2 / sum v^2: d for a
            cloud that spreads equally in all directions, 1 on a line.
        directions: For each of :data:`SHARES`, number of leading principal directions that hold that share of the
            centred energy (the sum of the eigenvalues); 0 without any energy.
        constant: Dimensions with one value in all vectors, zero or not.
        duplicates: Vectors equal to an earlier one, bit by bit.
        covariance_rows: Vectors that the covariance was computed from; fewer than ``count`` are a seeded sample.
        neighbours: Nearest neighbours and hubs.
        classes: Figures of the labels; None without labels.
    """

    count: int
    dimension: int
    not_finite: int
    zero: int
    lengths: Lengths
    mean_length: float
    effective_dimension: float
    directions: dict[float, int]
    constant: int
    duplicates: int
    covariance_rows: int
    neighbours: NeighbourStatistics
    classes: ClassStatistics | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable record."""
        return asdict(self) | {"directions": {f"{share:g}": count for share, count in self.directions.items()}}


def space_statistics(
    vectors: Float[np.ndarray, "n d"], labels: Int64[np.ndarray, " n"] | Sequence[str] | None = None
) -> SpaceStatistics:
    """Compute the figures of a cloud of vectors.

    No step has n x n cost: the covariance of more than 65,536 vectors, and the neighbours of more than 10,000, are
    those of a seeded sample, whose size is in the record. Sums are in double precision.

    Args:
        vectors: Floating point [n, d], of any length.
        labels: Class of each vector.

    Raises:
        InputError: When fewer than two vectors have a direction, or the numbers of labels and vectors differ.
    """
    if labels is not None and len(labels) != len(vectors):
        raise InputError(f"expected a label for each of {len(vectors)} vectors, got {len(labels)}")
    length, finite = _lengths(vectors)
    usable = finite & (length > 0)
    if usable.sum() < 2:
        raise InputError(
            f"expected at least two vectors with a direction, got {int(usable.sum())}: of {len(vectors)}, "
            f"{int((~finite).sum())} are not finite and {int((finite & (length == 0)).sum())} are zero"
        )
    unit = _scaled(vectors if usable.all() else vectors[usable], length[usable])
    around = spread(unit)
    return SpaceStatistics(
        count=len(vectors),
        dimension=vectors.shape[1],
        not_finite=int((~finite).sum()),
        zero=int((finite & (length == 0)).sum()),
        lengths=Lengths(*(float(value) for value in np.quantile(length[usable], (0, 0.5, 1)))),
        mean_length=float(np.linalg.norm(around.mean)),
        effective_dimension=around.effective_dimension,
        directions=_directions(around),
        constant=int((unit.max(axis=0) == unit.min(axis=0)).sum()),
        duplicates=duplicates(unit),
        covariance_rows=around.covariance_rows,
        neighbours=neighbour_statistics(unit),
        classes=None if labels is None else class_statistics(unit, _numbers(labels)[usable], around.mean),
    )


def _lengths(vectors: Float[np.ndarray, "n d"]) -> tuple[Float64[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Return the length of each vector, and True where it is finite."""
    length = lengths(vectors)
    return length, np.isfinite(length)


def _scaled(vectors: Float[np.ndarray, "n d"], length: Float64[np.ndarray, " n"]) -> Float32[np.ndarray, "n d"]:
    """Scale vectors to length one; if all have it already, they are returned unchanged and not copied."""
    if vectors.dtype == np.float32 and np.abs(length - 1).max() <= _ALREADY_UNIT:
        return vectors
    return scaled(vectors, length)


def _directions(around: Spread) -> dict[float, int]:
    total = float(around.variances.sum())
    if total <= NO_ENERGY:
        return dict.fromkeys(SHARES, 0)
    energy = np.cumsum(around.variances) / total
    # Rounding may leave the last entry slightly below one.
    return {share: int(np.searchsorted(energy, share - _ROUNDING)) + 1 for share in SHARES}


def _numbers(labels: Int64[np.ndarray, " n"] | Sequence[str]) -> Int64[np.ndarray, " n"]:
    return np.unique(np.asarray(labels), return_inverse=True)[1].astype(np.int64)
