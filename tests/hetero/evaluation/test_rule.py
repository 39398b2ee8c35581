"""The compatibility rule: what chance explains neither holds nor fails."""

from __future__ import annotations

import numpy as np
import pytest

from hetero.evaluation.rule import compatibility_rule
from hetero.metrics.retrieval import TaskResult


def right(*wrong: int) -> TaskResult:
    """60 queries of 60 classes, all right but those named."""
    values = np.ones(60)
    values[list(wrong)] = 0
    return TaskResult(("a>b",), ({"cmc@1": values},), (np.arange(60),))


@pytest.mark.parametrize(
    ("asymmetric", "symmetric", "status"),
    [
        ((), tuple(range(12)), "holds"),
        (tuple(range(12)), (), "fails"),
        ((0,), (), "undecided"),
        ((), (0,), "undecided"),
        ((), (), "fails"),
    ],
)
def test_status(asymmetric: tuple[int, ...], symmetric: tuple[int, ...], status: str) -> None:
    rule = compatibility_rule(right(*asymmetric), right(*symmetric), query_model="student", gallery_model="cloud")
    assert rule.status == status
