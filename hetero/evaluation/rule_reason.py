"""The reason why M(q, g) > M(q, q) holds or not: the gallery model's lead, and the loss of the other model's queries.

    M(q, g) - M(q, q) = [M(g, g) - M(q, q)] - [M(g, g) - M(q, g)]

The first bracket is the gallery model's lead: the possible gain from its gallery. The second is the loss: the queries
of the query model do worse there than the gallery model's own. The rule holds when the lead is larger.
"""

from __future__ import annotations

from collections.abc import Sequence

from hetero.metrics.bootstrap import Clusters, Interval, Values, difference_interval
from hetero.metrics.retrieval import TaskResult
from hetero.schema import record


@record
class RuleReason:
    """The two sides of the rule, as paired bootstrap intervals.

    Attributes:
        gallery: M(g, g).
        own: M(q, q).
        rule: M(q, g) - M(q, q).
        lead: M(g, g) - M(q, q).
        loss: M(g, g) - M(q, g).
    """

    gallery: float
    own: float
    rule: Interval
    lead: Interval
    loss: Interval

    def in_words(self, query: str = "the student", gallery: str = "the cloud") -> str:
        """Return the reason as a sentence without its full stop; its wording follows from the figures.

        Args:
            query: Name of q in the sentence.
            gallery: Name of g in the sentence.
        """
        own = f"by itself (M(g, g) {self.gallery:.3f}, M(q, q) {self.own:.3f}, ahead by {_in_figures(self.lead)})"
        costs = f"in {gallery}'s gallery its queries find {_in_figures(self.loss)} less than {gallery}'s own"
        if self.lead.status != "holds":
            knows = "knows no better" if self.lead.high < 0 else "is not shown to know better"
            start = f"{gallery} {knows} on these images than {query} {own}: there is little to gain from its gallery"
            return f"{start}, and {costs}" if self.rule.status != "holds" else f"{start}; yet {costs}"
        start = f"{gallery} is better on these images than {query} {own}; {costs}"
        return start + {
            "holds": ", which is less than that lead",
            "fails": ", which is more than that lead",
            "undecided": ", too near that lead for these queries to tell",
        }[self.rule.status]  # fmt: skip


def rule_reason(
    asymmetric: TaskResult,
    symmetric: TaskResult,
    gallery: TaskResult,
    *,
    metric: str = "cmc@1",
    clusters: Clusters | Sequence[Clusters] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> RuleReason:
    """Measure both sides of the rule on the same queries.

    Args:
        asymmetric: The query model against the gallery model.
        symmetric: The query model against itself.
        gallery: The gallery model against itself.
        metric: Name of the metric to compare.
        clusters: See :func:`hetero.metrics.bootstrap.mean_interval`.
        resamples: Bootstrap samples.
        level: Coverage of the intervals.
        seed: Seed of the resampling.

    Raises:
        InputError: When the results belong to different queries.
    """
    across, own, best = (result.per_query(metric) for result in (asymmetric, symmetric, gallery))

    def difference(new: Sequence[Values], old: Sequence[Values]) -> Interval:
        return difference_interval(new, old, clusters=clusters, resamples=resamples, level=level, seed=seed)

    return RuleReason(
        gallery=gallery.mean(metric),
        own=symmetric.mean(metric),
        rule=difference(across, own),
        lead=difference(best, own),
        loss=difference(best, across),
    )


def _in_figures(interval: Interval) -> str:
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
