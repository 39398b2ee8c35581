"""How many principal directions a student's last layer should work in: a rule on a space's statistics."""

from __future__ import annotations

from hetero.geometry.statistics import SpaceStatistics

LEAST = 8
"""Fewest directions, and what their number is a multiple of, as mobile kernels like it."""
HELD = 0.95
"""Share of the centred energy that the directions should hold; one of those that statistics count directions for."""
CENTRED = 0.1
"""Longest mean of a cloud of unit vectors that still counts as centred."""
EXPANSION = 0.1
"""Largest share of a budget that goes into expanding coefficients: the backbone needs the rest."""


def suggested_directions(statistics: SpaceStatistics, *, macs: int | None = None) -> int:
    """The fewest directions that hold 95 % of the centred energy, rounded up to 8, at most half of the dimensions.

    0, for all dimensions, where that would gain nothing: the space is centred and half of its dimensions do not hold as
    much; and where it has too few dimensions or vectors for it, or no spread at all.

    Args:
        statistics: Of the cloud's vectors.
        macs: Multiply-accumulates that an image may take, of which a tenth at most expands the coefficients; None
            for no limit.
    """
    wanted = statistics.directions[HELD]
    most = min(statistics.dimension // 2, statistics.covariance_rows - 1) // LEAST * LEAST
    if not wanted or most < LEAST or (wanted > most and statistics.mean_length <= CENTRED):
        return 0
    if macs is not None:
        most = min(most, max(LEAST, int(EXPANSION * macs / statistics.dimension) // LEAST * LEAST))
    return min(-(-wanted // LEAST) * LEAST, most)
