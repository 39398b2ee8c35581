"""How many principal directions a student's last layer should work in: a rule on a space's statistics."""

from __future__ import annotations

from hetero.geometry.statistics import SpaceStatistics

LEAST = 8
"""Fewest directions, and what their number is a multiple of, as mobile kernels like it."""
CENTRED = 0.1
"""Longest mean of a cloud of unit vectors that still counts as centred."""


def suggested_directions(statistics: SpaceStatistics) -> int:
    """One and a half times the effective dimension, rounded up to 8.

    In the leading directions alone the cloud's own queries still find nearly what they find in all of them, and a
    student that has few to learn learns them better; what is cheap for it, too (docs/results.md). 0, for all
    dimensions, where that is more than half of them, or there are too few vectors to know.
    """
    wanted = -(-int(1.5 * statistics.effective_dimension) // LEAST) * LEAST
    most = min(statistics.dimension // 2, statistics.covariance_rows - 1)
    return wanted if LEAST <= wanted <= most else 0
