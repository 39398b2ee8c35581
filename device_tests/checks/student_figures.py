"""A student's retrieval in the cloud's gallery, measured from a bundle's goldens alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from device_tests.checks.finding import Figure
from export.bundle.goldens import Goldens
from hetero.evaluation.rule_reason import RuleReason, rule_reason
from hetero.metrics.bootstrap import Interval, difference_interval, function_interval, mean_interval
from hetero.metrics.chance import chance_of_rank_one, share_relevant
from hetero.metrics.retrieval import TaskResult, evaluate_tasks

METRIC = "cmc@1"


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
            share=function_interval([hits_of_student, hits_of_cloud], _ratio, clusters=classes)
            if any(map(np.any, hits_of_cloud))
            else None,
            own=mean_interval(alone, clusters=classes),
            compared=rule_reason(across, own, above, metric=METRIC, clusters=classes),
            chance=chance_of_rank_one(goldens.retrieval_labels, goldens.tasks),
            above_chance=difference_interval(hits_of_student, by_chance, clusters=classes),
            queries=sum(map(len, hits_of_student)),
            found_by_cloud=int(sum(hits.sum() for hits in hits_of_cloud)),
            tasks=len(hits_of_student),
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
        }


def _ratio(means: Float64[np.ndarray, "samples 2"]) -> Float64[np.ndarray, " samples"]:
    return means[:, 0] / means[:, 1]
