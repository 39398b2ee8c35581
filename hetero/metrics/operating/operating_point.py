"""The threshold that accepts a stated share of wrong matches, and the share of right ones that it accepts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from hetero.errors import InputError


@dataclass(frozen=True)
class ComparisonScores:
    """Similarities of comparisons that should match and of comparisons that should not (ISO/IEC 19795-1).

    Attributes:
        mated: float32 [m], scores that should be accepted; ``-inf`` for a mate that was never found.
        non_mated: float32 [n], scores that should be rejected.
        mated_labels: int64 [m], the class of each, for intervals over classes.
        non_mated_labels: int64 [n], the class of each, likewise.
    """

    mated: Float32[np.ndarray, " m"]
    non_mated: Float32[np.ndarray, " n"]
    mated_labels: Int64[np.ndarray, " m"] | None = None
    non_mated_labels: Int64[np.ndarray, " n"] | None = None

    def __post_init__(self) -> None:
        if not len(self.mated) or not len(self.non_mated):
            raise InputError(
                "expected mated and non-mated comparisons, at least one of each, "
                f"got {len(self.mated)} and {len(self.non_mated)}"
            )
        if not (self.mated < np.inf).all() or not np.isfinite(self.non_mated).all():
            raise InputError("expected finite scores (or -inf for what was never found), got others")


class OperatingPoint(NamedTuple):
    """The effect of a threshold.

    Attributes:
        threshold: A comparison is accepted when its score is at least this.
        false_rate: Share of non-mated comparisons accepted, at most the requested rate.
        true_rate: Share of mated comparisons accepted.
    """

    threshold: float
    false_rate: float
    true_rate: float


def operating_point(scores: ComparisonScores, rate: float) -> OperatingPoint:
    """Return the lowest threshold that accepts at most ``rate`` of the non-mated comparisons; exact.

    With n non-mated comparisons rates below 1/n cannot be told from zero: the threshold then lies just above all of
    them.

    Args:
        scores: Scores of the comparisons.
        rate: Largest share of non-mated comparisons accepted, 0 to 1.

    Raises:
        InputError: When the rate is not between 0 and 1.
    """
    allowed = most_accepted(len(scores.non_mated), rate)
    if allowed == len(scores.non_mated):
        threshold = min(scores.mated.min(where=np.isfinite(scores.mated), initial=np.inf), scores.non_mated.min())
    else:
        rejected = np.partition(scores.non_mated, -allowed - 1)[-allowed - 1]
        threshold = np.nextafter(rejected, np.float32(np.inf))
    return OperatingPoint(
        float(threshold),
        float((scores.non_mated >= threshold).mean()),
        float((scores.mated >= threshold).mean()),
    )


def most_accepted(comparisons: int, rate: float) -> int:
    """Return the largest number of ``comparisons`` that is at most the share ``rate`` of them.

    Raises:
        InputError: When the rate is not between 0 and 1.
    """
    if not 0 <= rate <= 1:
        raise InputError(f"expected a rate between 0 and 1, got {rate}")
    allowed = int(rate * comparisons)
    # The product is rounded: 3 of 10 are the share 0.3, whatever 0.3 * 10 computes to.
    return allowed + 1 if (allowed + 1) / comparisons <= rate else allowed
