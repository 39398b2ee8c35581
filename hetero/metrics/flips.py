"""Negative flips: decisions that were right before an update and are wrong after it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int64

from hetero.errors import InputError
from hetero.metrics.retrieval import TaskResult
from hetero.schema import record

RANK_ONE = "cmc@1"


@record
class Flips:
    """The differences between the decisions of an old and a new model.

    They are stored as counts, so that the identity NFR - PFR = ER_new - ER_old is exact: ``negative - positive`` and
    ``new_wrong - old_wrong`` are the same whole number. See "Positive-Congruent Training", arXiv 2011.09161.

    Attributes:
        samples: Number of images, or queries, that both models decided on.
        old_wrong: Number that the old model got wrong.
        new_wrong: Number that the new model got wrong.
        negative: Number that was right before and is wrong now.
        positive: Number that was wrong before and is right now.
    """

    samples: int
    old_wrong: int
    new_wrong: int
    negative: int
    positive: int

    @property
    def nfr(self) -> float:
        """Negative flip rate."""
        return self.negative / self.samples

    @property
    def pfr(self) -> float:
        """Positive flip rate."""
        return self.positive / self.samples

    @property
    def error_old(self) -> float:
        """The old model's error rate."""
        return self.old_wrong / self.samples

    @property
    def error_new(self) -> float:
        """The new model's error rate."""
        return self.new_wrong / self.samples

    @property
    def rel_nfr(self) -> float | None:
        """NFR / [(1 - ER_old) * ER_new]: 1 when errors are independent; ``None`` when either factor is zero."""
        possible = (self.samples - self.old_wrong) * self.new_wrong
        return self.negative * self.samples / possible if possible else None


def count_flips(old_right: Bool[np.ndarray, " _"], new_right: Bool[np.ndarray, " _"]) -> Flips:
    """Compare two models' decisions on the same samples.

    Args:
        old_right: bool [n], True where the old model is right.
        new_right: bool [n], True where the new model is right, in the same order.

    Raises:
        InputError: When there are no samples, or not the same number on both sides.
    """
    if not len(old_right) or len(old_right) != len(new_right):
        raise InputError(
            f"flips need the same samples on both sides and at least one, got {len(old_right)} and {len(new_right)}"
        )
    return Flips(
        samples=len(old_right),
        old_wrong=int((~old_right).sum()),
        new_wrong=int((~new_right).sum()),
        negative=int((old_right & ~new_right).sum()),
        positive=int((~old_right & new_right).sum()),
    )


def classification_flips(
    old_predictions: Int64[np.ndarray, " n"],
    new_predictions: Int64[np.ndarray, " n"],
    labels: Int64[np.ndarray, " n"],
) -> Flips:
    """Count the flips of two classifiers: a decision is right when the predicted class is the label.

    Args:
        old_predictions: int64 [n], classes that the old model predicts.
        new_predictions: int64 [n], classes that the new model predicts.
        labels: int64 [n], the true classes.

    Raises:
        InputError: See :func:`count_flips`.
    """
    return count_flips(old_predictions == labels, new_predictions == labels)


def retrieval_flips(old: TaskResult, new: TaskResult) -> Flips:
    """Count the flips of two retrieval systems: a decision is right when a relevant image is at rank 1.

    Queries of all tasks are pooled: each counts once, so that a large task weighs more than a small one (figures
    averaged over tasks weigh all tasks the same; for tasks of one size the two agree).

    Args:
        old: Result before the update, with ``cmc@1``.
        new: Result after it, on the same tasks.

    Raises:
        InputError: When the two were not measured on the same queries.
    """
    return count_flips(*rank_one_decisions(old, new))


def rank_one_decisions(*systems: TaskResult) -> tuple[Bool[np.ndarray, " q"], ...]:
    """Return bool [q] for each system: True for each query, pooled over tasks, with a right answer at rank 1.

    Raises:
        InputError: When the systems were not measured on the same queries, or without ``cmc@1``.
    """
    first = systems[0]
    for other in systems[1:]:
        other.require_same_queries(first)
    if any(RANK_ONE not in system.metrics for system in systems):
        raise InputError(f"rank-1 decisions need {RANK_ONE}: have it among the metrics")
    return tuple(np.concatenate(system.per_query(RANK_ONE)) > 0 for system in systems)
