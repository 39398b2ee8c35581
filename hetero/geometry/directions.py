"""The number of principal directions for a student's last layer: a rule based on the spread of its space."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

LEAST = 8
"""Fewest directions; their number is a multiple of it, which suits mobile kernels."""
CENTRED = 0.1
"""Longest mean of a cloud of unit vectors that still counts as centred."""
EXPANSION = 0.2
"""Largest share of a budget for expanding coefficients: the backbone needs the rest."""


@runtime_checkable
class Spreading(Protocol):
    """The input of the rule, which both a space's statistics and their spread provide."""

    @property
    def dimension(self) -> int:
        """Dimension of each vector."""
        ...

    @property
    def effective_dimension(self) -> float:
        """Participation ratio of the covariance's eigenvalues."""
        ...

    @property
    def covariance_rows(self) -> int:
        """Number of vectors that the covariance was computed from."""
        ...


def suggested_directions(space: Spreading, *, macs: int | None = None) -> int:
    """Return one and a half times the effective dimension, rounded up to a multiple of 8.

    In the leading directions alone the cloud's own queries still find nearly as much as in all dimensions, and a
    student learns a few directions better than all; they are cheaper, too (docs/results.md). The result is 0, for all
    dimensions, where the number exceeds half of them, or there are too few vectors.

    Args:
        space: Spread of the cloud's unit vectors.
        macs: Multiply-accumulates that an image may take, of which at most a fifth expands the coefficients; None
            for no limit.
    """
    count = -(-int(1.5 * space.effective_dimension) // LEAST) * LEAST
    most = min(space.dimension // 2, space.covariance_rows - 1)
    if not LEAST <= count <= most:
        return 0
    if macs is None:
        return count
    return min(count, max(LEAST, int(EXPANSION * macs / space.dimension) // LEAST * LEAST))
