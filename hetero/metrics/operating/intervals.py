"""The uncertainty of a true rate at a false rate; every bootstrap sample chooses its own threshold."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hetero.errors import InputError
from hetero.metrics.bootstrap import Interval, times_drawn
from hetero.metrics.operating.operating_point import ComparisonScores, operating_point

Over = Literal["comparisons", "classes"]


def true_rate_interval(scores: ComparisonScores, rate: float, *, over: Over = "classes", **resampling: Any) -> Interval:
    """Compute the interval of TAR at a FAR, or of TNIR at an FPIR.

    Args:
        scores: Scores of the comparisons, with their labels when ``over`` is ``"classes"``.
        rate: The false rate at which the threshold is set.
        over: ``"comparisons"``: comparisons of both kinds are resampled one by one; ``"classes"``: classes
            are resampled, each with all of its comparisons.
        **resampling: ``resamples`` (default 2000), ``level`` (0.95) and ``seed`` (0).

    Raises:
        InputError: When labels are missing, or the rate is not between 0 and 1.
    """
    return _interval([scores], rate, over, **resampling)


def true_rate_difference_interval(
    new: ComparisonScores, old: ComparisonScores, rate: float, *, over: Over = "classes", **resampling: Any
) -> Interval:
    """Compute the paired interval of the difference between two systems, each at its own threshold.

    Args:
        new: One system's scores.
        old: The other's scores of the same comparisons in the same order.
        rate: See :func:`true_rate_interval`.
        over: See :func:`true_rate_interval`.
        **resampling: See :func:`true_rate_interval`.

    Raises:
        InputError: When the two scored different comparisons; see also :func:`true_rate_interval`.
    """
    if (len(new.mated), len(new.non_mated)) != (len(old.mated), len(old.non_mated)):
        raise InputError(
            "a paired difference needs the same comparisons on both sides, got "
            f"{len(new.mated)} and {len(old.mated)} mated, {len(new.non_mated)} and {len(old.non_mated)} non-mated"
        )
    return _interval([new, old], rate, over, **resampling)


def _interval(
    systems: list[ComparisonScores], rate: float, over: Over, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    if resamples < 1 or not 0 < level < 1:
        raise InputError(f"expected resamples >= 1 and 0 < level < 1, got {resamples} and {level}")
    points = [operating_point(scores, rate).true_rate for scores in systems]
    ranked = [_Ranked(scores) for scores in systems]
    mated, non_mated, units = _members(systems[0], over)
    rng = np.random.default_rng(seed)
    samples: list[float] = []
    for times in times_drawn(units, resamples, rng):
        for counts in times:
            rates = [system.true_rate(counts[mated], counts[non_mated], rate) for system in ranked]
            samples.append(_difference(rates))
    valid = np.array(samples)[~np.isnan(samples)]
    low, high = np.quantile(valid, [(1 - level) / 2, (1 + level) / 2])
    return Interval(_difference(points), float(low), float(high))


def _difference(rates: list[float]) -> float:
    return rates[0] - sum(rates[1:])


def _members(scores: ComparisonScores, over: Over) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return the unit that each mated and each non-mated comparison is drawn with, and the number of units."""
    m, n = len(scores.mated), len(scores.non_mated)
    if over == "comparisons":
        return np.arange(m), np.arange(m, m + n), m + n
    if scores.mated_labels is None or scores.non_mated_labels is None:
        raise InputError(
            "an interval over classes needs the label of every comparison; give them, or over='comparisons'"
        )
    names, units = np.unique(np.concatenate([scores.mated_labels, scores.non_mated_labels]), return_inverse=True)
    return units[:m], units[m:], len(names)


class _Ranked:
    """Scores sorted once, so that a weighted sample costs two cumulative sums."""

    def __init__(self, scores: ComparisonScores) -> None:
        self._mated_order = np.argsort(-scores.mated, kind="stable")
        self._order = np.argsort(-scores.non_mated, kind="stable")
        non_mated = scores.non_mated[self._order]
        self._found = int(np.isfinite(scores.mated).sum())
        # For each non-mated score, the number of mated ones above it: they pass when it is the best rejected score.
        self._above = np.searchsorted(-scores.mated[self._mated_order], -non_mated, side="left")

    def true_rate(self, mated: NDArray[np.float64], non_mated: NDArray[np.float64], rate: float) -> float:
        """Return the true rate when each comparison counts as often as it was drawn; NaN when one kind is missing."""
        accepted, passed = np.cumsum(non_mated[self._order]), np.cumsum(mated[self._mated_order])
        if not accepted[-1] or not passed[-1]:
            return float("nan")
        too_many = accepted / accepted[-1] > rate
        above = self._above[np.argmax(too_many)] if too_many[-1] else self._found
        return float(passed[above - 1] / passed[-1]) if above else 0.0
