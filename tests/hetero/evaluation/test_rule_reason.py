"""Why the rule holds or not follows from the gallery model's lead and from what its gallery costs."""

from __future__ import annotations

import numpy as np
import pytest

from hetero.evaluation.rule import compatibility_rule
from hetero.evaluation.rule_reason import rule_reason
from hetero.metrics.retrieval import TaskResult


def right(count: int) -> TaskResult:
    """Of 400 queries, each of a class of its own, the first so many are answered right."""
    return TaskResult(("a>b",), ({"cmc@1": (np.arange(400) < count).astype(float)},), (np.arange(400),))


MORE = "less than the cloud's own, which is more than that lead"
NO_LEAD = "on these images than the student by itself"


@pytest.mark.parametrize(
    ("across", "own", "gallery", "status", "said"),
    [
        # M(q, g) .9 > M(q, q) .6: the lead is .4, the loss .1.
        (360, 240, 400, "holds", ("the cloud is better", "ahead by 0.400 [", "find 0.100 [", "less than that lead")),
        (240, 300, 360, "fails", ("the cloud is better", "ahead by 0.150 [", "find 0.300 [", MORE)),
        (301, 300, 360, "undecided", ("the cloud is better", "too near that lead for these queries to tell")),
        (240, 300, 301, "fails", (f"the cloud is not shown to know better {NO_LEAD}", "and in the cloud's gallery")),
        (240, 300, 250, "fails", (f"the cloud knows no better {NO_LEAD}", "there is little to gain from its gallery")),
        (340, 300, 301, "holds", (f"the cloud is not shown to know better {NO_LEAD}", "yet in the cloud's gallery")),
    ],
)
def test_the_sentence_follows_from_the_figures(across, own, gallery, status, said):
    found = rule_reason(right(across), right(own), right(gallery))
    assert found.rule.status == status
    assert all(part in found.in_words() for part in said), found.in_words()
    assert found.rule.value == pytest.approx(found.lead.value - found.loss.value)
    assert (found.lead.value, found.loss.value) == (
        pytest.approx((gallery - own) / 400),
        pytest.approx((gallery - across) / 400),
    )


def test_its_intervals_are_paired():
    """Of 400 queries 120 are answered otherwise: the share's standard error is sqrt(.3 * .7 / 400) = .023."""
    loss = rule_reason(right(240), right(300), right(360)).loss
    assert (loss.low, loss.high) == (pytest.approx(0.3 - 0.045, abs=0.006), pytest.approx(0.3 + 0.045, abs=0.006))


def test_the_rule_gives_its_reason_when_the_gallery_models_own_queries_are_known():
    names = {"query_model": "edge", "gallery_model": "large"}
    rule = compatibility_rule(right(240), right(300), gallery=right(360), **names)
    assert rule.reason is not None and rule.reason.rule.value == rule.difference
    assert rule.reason.in_words("edge", "large").startswith("large is better on these images than edge by itself")
    assert compatibility_rule(right(240), right(300), **names).reason is None
