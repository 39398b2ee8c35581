"""Questions that an int8 file's calibration queries were too few to decide. Imports nothing heavy."""

from __future__ import annotations

import math

from export.bundle.quantisation import Evidence, Quantisation
from hetero.display.wording import change_in_words, range_of_change

RULE_OF_THREE = 3
"""If none of n queries loses anything, the loss may still be 3 / n (95 % confidence)."""


def doubts(quantisation: Quantisation | None) -> tuple[str, ...]:
    """Return warnings, without the file's name; none if the calibration queries decide the goal."""
    evidence = quantisation and quantisation.evidence
    if quantisation is None or evidence is None:
        return ()
    if evidence.classes < 2:
        return (
            "its calibration queries are all of one class, so that no loss of map@r can show: take several classes",
        )
    loss, goal = evidence.chosen.loss, quantisation.goal
    missed = loss.low > goal
    if missed or (evidence.queries >= least_queries(goal) and loss.high <= goal):
        return ()
    return (
        f"its {evidence.queries} calibration queries are too few to tell whether it loses at most {goal:.1%} of map@r "
        f"(it {change_in_words(loss.value, digits=1, percent=True)} of it, "
        f"95 % {range_of_change(loss.low, loss.high, digits=1, percent=True)}): "
        f"about {_needed(evidence, goal):,} would do",
    )


def least_queries(goal: float) -> int:
    """Return the number of queries below which even zero loss does not show that a goal is met."""
    return math.ceil(RULE_OF_THREE / goal) if goal > 0 else 0


def too_few(evidence: Evidence, goal: float) -> bool:
    """Return True if not even zero loss on these queries shows that a goal is met."""
    return evidence.classes < 2 or (goal > 0 and evidence.queries < RULE_OF_THREE / goal)


def _needed(evidence: Evidence, goal: float) -> int:
    """Return the number of queries that make the interval as narrow as the goal."""
    loss = evidence.chosen.loss
    wide = (loss.high - loss.low) / 2 / goal if goal > 0 else 1.0
    return max(least_queries(goal), 100 * math.ceil(evidence.queries * wide**2 / 100))
