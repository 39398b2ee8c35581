"""How many principal directions a student's last layer should work in: a rule on how its space spreads."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

LEAST = 8
"""Fewest directions, and what their number is a multiple of, as mobile kernels like it."""
CENTRED = 0.1
"""Longest mean of a cloud of unit vectors that still counts as centred."""
EXPANSION = 0.2
"""Largest share of a budget that goes into expanding coefficients: the backbone needs the rest."""


@runtime_checkable
class Spreading(Protocol):
    """What the rule goes by; both a space's statistics and the spread that they come from say it."""

    @property
    def dimension(self) -> int:
        """Of each vector."""
        ...

    @property
    def effective_dimension(self) -> float:
        """Participation ratio of the covariance's eigenvalues."""
        ...

    @property
    def covariance_rows(self) -> int:
        """Vectors that the covariance was taken of."""
        ...


def suggested_directions(space: Spreading, *, macs: int | None = None) -> int:
    """One and a half times the effective dimension, rounded up to 8.

    In the leading directions alone the cloud's own queries still find nearly what they find in all of them, and a
    student that has few to learn learns them better; they are cheaper, too (docs/results.md). 0, for all dimensions,
    where that is more than half of them, or there are too few vectors to know.

    Args:
        space: How the cloud's unit vectors spread.
        macs: Multiply-accumulates that an image may take, of which a fifth at most expands the coefficients; None
            for no limit.
    """
    wanted = -(-int(1.5 * space.effective_dimension) // LEAST) * LEAST
    most = min(space.dimension // 2, space.covariance_rows - 1)
    if not LEAST <= wanted <= most:
        return 0
    if macs is None:
        return wanted
    return min(wanted, max(LEAST, int(EXPANSION * macs / space.dimension) // LEAST * LEAST))
