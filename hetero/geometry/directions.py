"""How many principal directions a student's last layer should work in: a rule on a space's statistics."""

from __future__ import annotations

from hetero.geometry.statistics import SHARES, SpaceStatistics

LEAST = 8
"""Fewest directions, and what their number is a multiple of, as mobile kernels like it."""
CENTRED = 0.1
"""Longest mean of a cloud of unit vectors that still counts as centred."""


def suggested_directions(statistics: SpaceStatistics) -> int:
    """The fewest directions that hold 95 % of the centred energy, rounded up to 8, at most half of the dimensions.

    0, for all dimensions, where that would gain nothing: the space is centred and half of its dimensions do not hold as
    much; and where it has too few dimensions or vectors for it, or no spread at all.
    """
    wanted = statistics.directions[SHARES[-1]]
    most = min(statistics.dimension // 2, statistics.covariance_rows - 1) // LEAST * LEAST
    if not wanted or most < LEAST or (wanted > most and statistics.mean_length <= CENTRED):
        return 0
    return min(-(-wanted // LEAST) * LEAST, most)
