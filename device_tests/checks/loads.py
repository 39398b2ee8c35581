"""Rung 1: does the target's runtime load the model, run it, and give embeddings of the right shape and space?

An application passes the tensors that the manifest names, so these must be the file's.
"""

from __future__ import annotations

import math

from device_tests.checks.finding import Finding, judged
from device_tests.checks.subject import Subject

RUNG = "loads"


def check(subject: Subject) -> Finding:
    """Fails with the runtime's own message."""
    returned, goldens = subject.returned, subject.goldens
    figures = {"runtime": returned.runtime, "load_ms": 1000 * returned.load_seconds}
    if returned.certifies:
        figures["certifies"] = returned.certifies
    if returned.not_verified:
        return Finding(RUNG, "not verified", returned.error)
    if returned.embeddings is None:
        return judged(RUNG, [returned.error or "the target returned nothing"], {})
    expected = (len(goldens.golden_images) + len(goldens.query_rows), goldens.golden_embeddings.shape[1])
    if returned.embeddings.shape != expected:
        problem = f"expected {expected[0]} embeddings of {expected[1]}, got shape {list(returned.embeddings.shape)}"
        return judged(RUNG, [problem], figures)
    if subject.space_in_file not in ("", subject.space_id):
        problem = (
            f"the file says that its vectors belong to the space {subject.space_in_file}, the bundle says "
            f"{subject.space_id}; vectors of two spaces cannot be compared"
        )
        return judged(RUNG, [problem], figures)
    if problems := _other_tensors(subject):
        return judged(RUNG, problems, figures)
    return judged(RUNG, [], {**figures, "file_names_its_space": bool(subject.space_in_file)})


def _other_tensors(subject: Subject) -> list[str]:
    """Where the file says something else of its input or output than the manifest."""
    problems: list[str] = []
    for what, said, told in zip(("input", "output"), subject.tensors, subject.returned.tensors, strict=False):
        name, kind, scale, zero_point = told
        listed = (said.name, said.type if kind else "", said.zero_point)
        if listed != (name, kind, zero_point) or not math.isclose(said.scale, scale, rel_tol=1e-6):
            problems.append(
                f"the file's {what} is {_in_words(name, kind, scale, zero_point)}, the manifest says "
                f"{_in_words(said.name, said.type, said.scale, said.zero_point)}"
            )
    return problems


def _in_words(name: str, kind: str, scale: float, zero_point: int) -> str:
    """A tensor, for people."""
    return f"{name[:100]!r} {kind}" + (f" * {scale:g} from {zero_point}" if scale or zero_point else "")
