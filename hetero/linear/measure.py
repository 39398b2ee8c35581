"""The figures of an adaptation, and the reasons that forbid the adapted model to keep the old space."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from hetero.files import write_json
from hetero.linear.config import Part
from hetero.metrics.bootstrap import Interval, difference_interval
from hetero.metrics.flip_intervals import nfr_interval
from hetero.metrics.flips import RANK_ONE, rank_one_decisions
from hetero.metrics.retrieval import TaskResult
from hetero.schema import parse_file, record

RECORD = "adapt.json"
LIKELY = 3.0
"""Flips to be expected at the limit for none to be evidence: then the probability to see none is 0.05."""


def exceeds(difference: float, limit: float) -> bool:
    """Return True if a difference of two shares is above a limit by more than rounding."""
    return difference > limit and not math.isclose(difference, limit, abs_tol=1e-9)


@record
class Change:
    """The results of one set of queries in the old gallery, before and after.

    Attributes:
        queries: Number of queries.
        before: M(old, old).
        after: M(new, old): the adapted model's queries, the gallery as it is.
        difference: The second minus the first, with its paired interval.
    """

    queries: int
    before: float
    after: float
    difference: Interval

    @classmethod
    def between(cls, before: TaskResult, after: TaskResult, *, seed: int) -> Change:
        """Compare two models' answers to the same queries."""
        sides = (result.per_query(RANK_ONE) for result in (after, before))
        clusters = before.clusters(before.resampled)
        return cls(
            queries=len(before.labels[0]),
            before=before.mean(RANK_ONE),
            after=after.mean(RANK_ONE),
            difference=difference_interval(*sides, clusters=clusters, seed=seed),
        )


@record
class Adaptation:
    """An adaptation, measured on test images by ``cmc@1``.

    Attributes:
        space: Id of the space of the gallery and of the model before.
        new: Queries of the new domain.
        old: Queries of the old domain.
        flips: Share of the old domain's queries right before and wrong now (NFR), with its interval.
        linear: Figure of the linear model on queries of the new domain; the written model's is ``new.after``.
        part: Part of the model that could change.
        anchors: Number of old images that were anchors, by themselves or by their factors.
        anchor_weight: Weight of the anchors.
        images: Number of new training images.
        ridge: Ridge chosen on validation.
        steps: Steps of conjugate gradients for it.
        residual: ``|g - H d| / |g|`` after the last step.
        moved: ``|d| / |w|`` of the weights that may change.
        most_flips: Limit on the share of flips.
        most_lost: Limit on the loss from the linear to the written model.
        by_factors: True if factors stood in for the anchors.
        schema: Version of this record.
    """

    space: str
    new: Change
    old: Change
    flips: Interval
    linear: float
    part: Part
    anchors: int
    anchor_weight: float
    images: int
    ridge: float
    steps: int
    residual: float
    moved: float
    most_flips: float
    most_lost: float
    by_factors: bool = False
    schema: Literal["hetero/adaptation/1"] = "hetero/adaptation/1"

    @property
    def refusals(self) -> tuple[str, ...]:
        """Reasons that the adapted model may not keep the old space; empty when it may."""
        reasons: list[str] = []
        if self.new.difference.status != "holds":
            reasons.append("new queries are not shown to find more in the old gallery than before")
        if self.flips.high > self.most_flips:
            reasons.append(
                f"old queries may be answered wrong that were answered right: at most {self.most_flips:g} was allowed, "
                f"the interval reaches {self.flips.high:.3f}"
            )
        # Resampling queries of which none flipped gives an interval of no width, however few they are.
        elif not self.flips.value and self.old.queries * self.most_flips < LIKELY and self.most_flips:
            reasons.append(
                f"{self.old.queries} old queries are too few to show that at most {self.most_flips:g} turn wrong, "
                f"though none did: expected {math.ceil(LIKELY / self.most_flips)} or more test photos of the old domain"
            )
        if exceeds(self.linear - self.new.after, self.most_lost):
            reasons.append(
                f"the written model finds {self.linear - self.new.after:.3f} less than the linear one, more than "
                f"{self.most_lost:g}: the weights moved too far; allow larger ridges, or less of the model to change"
            )
        return tuple(reasons)

    def save(self, path: Path) -> None:
        """Write the record as JSON, atomically."""
        write_json(path, asdict(self))

    @classmethod
    def load(cls, path: Path) -> Adaptation:
        """Read a record.

        Raises:
            IntegrityError: When the file is not a record.
        """
        return parse_file(cls, path)


def flips_between(before: TaskResult, after: TaskResult, *, seed: int) -> Interval:
    """Return NFR with its interval, over classes where there are enough of them, or else over queries."""
    clusters = before.clusters(before.resampled)
    return nfr_interval(
        *rank_one_decisions(before, after), clusters=None if clusters is None else clusters[0], seed=seed
    )
