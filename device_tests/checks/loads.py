"""Rung 1: does the target's runtime load the model, run it, and give an embedding of the right shape?"""

from __future__ import annotations

from device_tests.checks.finding import Finding, judged
from device_tests.checks.subject import Subject

RUNG = "loads"


def check(subject: Subject) -> Finding:
    """Fails with the runtime's own message."""
    returned, goldens = subject.returned, subject.goldens
    figures = {"runtime": returned.runtime, "load_ms": 1000 * returned.load_seconds}
    if returned.embeddings is None:
        return judged(RUNG, [returned.error or "the target returned nothing"], {})
    expected = (len(goldens.golden_images) + len(goldens.query_rows), goldens.golden_embeddings.shape[1])
    if returned.embeddings.shape != expected:
        problem = f"expected {expected[0]} embeddings of {expected[1]}, got shape {list(returned.embeddings.shape)}"
        return judged(RUNG, [problem], figures)
    return judged(RUNG, [], figures)
