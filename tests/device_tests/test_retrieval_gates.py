"""What a gate on a loss says."""

from __future__ import annotations

import numpy as np

from device_tests.checks.retrieval_gates import loss_gate
from hetero.metrics.retrieval import TaskResult


def found(right: int, of: int = 60) -> TaskResult:
    return TaskResult(("q>g",), ({"cmc@1": (np.arange(of) < right).astype(np.float64)},), (np.arange(of),))


def test_a_gain_is_not_told_as_a_negative_loss() -> None:
    """One of 60 gained, where 60 queries are too few to show that at most one of 100 is lost."""
    gate = loss_gate(found(30), found(31), 0.01, beside="the student in torch")
    assert gate.judgement.answer == "open"
    assert "0 of 60 queries lose their right answer and 1 gain it: cmc@1 gains 0.0167 (0.0000 to +" in gate.told
    assert gate.told.endswith("beside the student in torch; a loss of 0.01 is allowed")
    assert "cmc@1 loses 0.3333 (-0." in loss_gate(found(30), found(10), 0.01, beside="torch").told
