"""What a cloud of vectors is like: one record of figures, from which everything that follows is decided by rule."""

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
"""Of the centred energy, for each of which the directions are counted that hold it."""
UNIT = 1e-3
"""How far a length may be from one and still count as one."""
_ALREADY_UNIT = 1e-6
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Lengths:
    """Euclidean lengths of vectors as they were given: smallest, median and largest."""

    smallest: float
    median: float
    largest: float

    @property
    def is_unit(self) -> bool:
        """True if all are of length one."""
        return max(abs(self.smallest - 1), abs(self.largest - 1)) <= UNIT


@dataclass(frozen=True)
class SpaceStatistics:
    """Figures of a cloud of vectors, each scaled to length one first.

    Attributes:
        count: Vectors given.
        dimension: Of each.
        not_finite: Vectors with a value that is not finite; left out of everything else.
        zero: Vectors of length zero, without a direction; left out as well.
        lengths: Before they were scaled.
        mean_length: Of their mean: 0 for a centred cloud, 1 when all are equal.
        effective_dimension: Participation ratio of the centred covariance's eigenvalues, (sum v)^2 / sum v^2: d for a
            cloud that spreads alike in all directions, 1 on a line.
        directions: For each of :data:`SHARES`, how many leading principal directions hold that share of the centred
            energy (the sum of the eigenvalues); no energy is held by none.
        constant: Dimensions with one value in all vectors, zero or not.
        duplicates: Vectors equal to an earlier one, bit by bit.
        covariance_rows: Vectors that the covariance was taken of; fewer than ``count`` are a seeded sample.
        neighbours: Nearest neighbours and hubs.
        classes: How labels lie in the space; None without labels.
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
        """A JSON-serialisable record."""
        return asdict(self) | {"directions": {f"{share:g}": count for share, count in self.directions.items()}}


def space_statistics(
    vectors: Float[np.ndarray, "n d"], labels: Int64[np.ndarray, " n"] | Sequence[str] | None = None
) -> SpaceStatistics:
    """Figures of a cloud of vectors.

    Nothing takes n x n: the covariance of more than 65,536 vectors, and the neighbours of more than 10,000, are those
    of a seeded sample; the record says of how many. Sums are in double precision.

    Args:
        vectors: Floating point [n, d], of any length.
        labels: Class of each vector.

    Raises:
        InputError: When fewer than two vectors have a direction, or there is not a label a vector.
    """
    if labels is not None and len(labels) != len(vectors):
        raise InputError(f"expected a label for each of {len(vectors)} vectors, got {len(labels)}")
    length, finite = _measured(vectors)
    used = finite & (length > 0)
    if used.sum() < 2:
        raise InputError(
            f"expected at least two vectors with a direction, got {int(used.sum())}: of {len(vectors)}, "
            f"{int((~finite).sum())} are not finite and {int((finite & (length == 0)).sum())} are zero"
        )
    unit = _scaled(vectors if used.all() else vectors[used], length[used])
    around = spread(unit)
    return SpaceStatistics(
        count=len(vectors),
        dimension=vectors.shape[1],
        not_finite=int((~finite).sum()),
        zero=int((finite & (length == 0)).sum()),
        lengths=Lengths(*(float(value) for value in np.quantile(length[used], (0, 0.5, 1)))),
        mean_length=float(np.linalg.norm(around.mean)),
        effective_dimension=around.effective_dimension,
        directions=_directions(around),
        constant=int((unit.max(axis=0) == unit.min(axis=0)).sum()),
        duplicates=duplicates(unit),
        covariance_rows=around.covariance_rows,
        neighbours=neighbour_statistics(unit),
        classes=None if labels is None else class_statistics(unit, _numbers(labels)[used], around.mean),
    )


def _measured(vectors: Float[np.ndarray, "n d"]) -> tuple[Float64[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Length of each vector, and whether it is finite."""
    length = lengths(vectors)
    return length, np.isfinite(length)


def _scaled(vectors: Float[np.ndarray, "n d"], length: Float64[np.ndarray, " n"]) -> Float32[np.ndarray, "n d"]:
    """Vectors of length one; those that have it already stay as they are, and none is copied."""
    if vectors.dtype == np.float32 and np.abs(length - 1).max() <= _ALREADY_UNIT:
        return vectors
    return scaled(vectors, length)


def _directions(around: Spread) -> dict[float, int]:
    total = float(around.variances.sum())
    if total <= NO_ENERGY:
        return dict.fromkeys(SHARES, 0)
    held = np.cumsum(around.variances) / total
    # Rounding may leave the last of all a little below one.
    return {share: int(np.searchsorted(held, share - _ROUNDING)) + 1 for share in SHARES}


def _numbers(labels: Int64[np.ndarray, " n"] | Sequence[str]) -> Int64[np.ndarray, " n"]:
    return np.unique(np.asarray(labels), return_inverse=True)[1].astype(np.int64)
