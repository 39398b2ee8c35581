"""A student's retrieval in the cloud's gallery, measured from a bundle's goldens alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from device_tests.checks.finding import Figure
from export.bundle.goldens import Goldens
from hetero.evaluation.roles import text_to_image
from hetero.evaluation.rule_reason import RuleReason, rule_reason
from hetero.metrics.bootstrap import Interval, difference_interval, mean_interval
from hetero.metrics.chance import chance_of_rank_one, share_relevant
from hetero.metrics.paired import share_interval
from hetero.metrics.retrieval import TaskResult, evaluate_tasks

METRIC = "cmc@1"


@dataclass(frozen=True)
class Standing:
    """cmc@1 with the student in the cloud's place on the gallery's side.

    Attributes:
        student: The queries' cmc@1 in the student's gallery.
        share: That over their cmc@1 in the cloud's gallery, resampled together; None when the cloud finds nothing.
        known: Number of queries for which the cloud's gallery gives a right first hit.
        queries: Number of queries.
    """

    student: Interval
    share: Interval | None
    known: int
    queries: int

    @classmethod
    def of(cls, result: TaskResult, best: TaskResult) -> Standing:
        """Compare the student's gallery with the cloud's."""
        clusters = result.clusters(result.resampled)
        return cls(
            student=mean_interval(result.per_query(METRIC), clusters=clusters),
            share=share_interval(result, best, METRIC, clusters=clusters),
            known=int(sum(hits.sum() for hits in best.per_query(METRIC))),
            queries=sum(map(len, result.labels)),
        )

    def to_dict(self, name: str) -> dict[str, Figure]:
        """Return a flat record of the figures under a name."""
        share = self.share
        return {
            f"{name}_cmc@1": self.student.value,
            f"{name}_share_of_cloud": share and share.value,
            f"{name}_share_of_cloud_low": share and share.low,
            f"{name}_share_of_cloud_high": share and share.high,
            f"{name}_queries": self.queries,
        }


@dataclass(frozen=True)
class StudentFigures:
    """cmc@1 of the student in torch, and the figures that it is compared with.

    Intervals are of 95 %, over classes, or over queries if there are few classes.

    Attributes:
        student: M(student, cloud): its queries in the cloud's gallery.
        cloud: M(cloud, cloud): the cloud's own queries there.
        share: The first over the second, resampled together; None when the cloud finds nothing.
        own: M(student, student): its queries in a gallery of its own.
        compared: M(student, cloud) - M(student, student), and the reason for its sign.
        chance: cmc@1 in a gallery in random order.
        above_chance: The student's cmc@1 minus that.
        queries: Number of queries.
        found_by_cloud: Number of queries for which the cloud's first hit is right.
        tasks: Number of retrieval tasks; figures are means over these.
        as_gallery: M(cloud, student): the cloud's queries in a gallery of the student's.
        texts: The golden texts in a gallery of the student's; None for a bundle without.
    """

    student: Interval
    cloud: Interval
    share: Interval | None
    own: Interval
    compared: RuleReason
    chance: float
    above_chance: Interval
    queries: int
    found_by_cloud: int
    tasks: int
    as_gallery: Standing
    texts: Standing | None

    @classmethod
    def measure(cls, goldens: Goldens) -> StudentFigures:
        """Evaluate the bundle's own embeddings.

        Raises:
            InputError: When a task cannot be measured.
        """
        student, cloud = goldens.retrieval_student, goldens.retrieval_cloud

        def measured(query: Float32[np.ndarray, "m d"], gallery: Float32[np.ndarray, "m d"]) -> TaskResult:
            return evaluate_tasks(query, gallery, goldens.retrieval_labels, goldens.tasks)

        across, above, own = measured(student, cloud), measured(cloud, cloud), measured(student, student)
        hits_of_student, hits_of_cloud, alone = (result.per_query(METRIC) for result in (across, above, own))
        classes = across.clusters(across.resampled)
        by_chance = [share_relevant(goldens.retrieval_labels, task) for task in goldens.tasks]
        return cls(
            student=mean_interval(hits_of_student, clusters=classes),
            cloud=mean_interval(hits_of_cloud, clusters=classes),
            share=share_interval(across, above, METRIC, clusters=classes),
            own=mean_interval(alone, clusters=classes),
            compared=rule_reason(across, own, above, metric=METRIC, clusters=classes),
            chance=chance_of_rank_one(goldens.retrieval_labels, goldens.tasks),
            above_chance=difference_interval(hits_of_student, by_chance, clusters=classes),
            queries=sum(map(len, hits_of_student)),
            found_by_cloud=int(sum(hits.sum() for hits in hits_of_cloud)),
            tasks=len(hits_of_student),
            as_gallery=Standing.of(measured(cloud, student), above),
            texts=None
            if goldens.texts is None
            else Standing.of(*(text_to_image(side, goldens.texts, metrics=(METRIC,)) for side in (student, cloud))),
        )

    @property
    def above_own(self) -> Interval:
        """M(student, cloud) - M(student, student)."""
        return self.compared.rule

    @property
    def rule(self) -> str:
        """M(q, g) > M(q, q), as in :class:`hetero.evaluation.rule.Rule`: ``holds``, ``undecided`` or ``fails``."""
        return self.above_own.status

    def to_dict(self) -> dict[str, Figure]:
        """Return a flat record of the figures, as findings have it."""
        share = self.share
        ends = {
            "cmc@1": self.student,
            "cmc@1_cloud": self.cloud,
            "cmc@1_own_gallery": self.own,
            "above_own_gallery": self.compared.rule,
            "lead_of_cloud": self.compared.lead,
            "loss_to_cloud": self.compared.loss,
        }
        return {
            **{name: interval.value for name, interval in ends.items()},
            **{f"{name}_low": interval.low for name, interval in ends.items()},
            **{f"{name}_high": interval.high for name, interval in ends.items()},
            "share_of_cloud": None if share is None else share.value,
            "share_of_cloud_low": None if share is None else share.low,
            "share_of_cloud_high": None if share is None else share.high,
            "rule": self.rule,
            "rule_reason": self.compared.in_words(),
            "chance": self.chance,
            "queries": self.queries,
            "tasks": self.tasks,
            **self.as_gallery.to_dict("as_gallery"),
            **(self.texts.to_dict("texts") if self.texts else {}),
        }
