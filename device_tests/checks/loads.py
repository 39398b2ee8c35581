"""Rung 1: the target's runtime loads the model, runs it, and gives embeddings of the right shape and space.

Applications pass the tensors that the manifest names, so these must match the file's.
"""

from __future__ import annotations

import math

from device_tests.checks.finding import Finding, judged
from device_tests.checks.subject import Subject

RUNG = "loads"


def check(subject: Subject) -> Finding:
    """Load and run the model; a failure quotes the runtime's own message."""
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
    """Describe where the file's input or output differs from the manifest."""
    problems: list[str] = []
    for role, expected, actual in zip(("input", "output"), subject.tensors, subject.returned.tensors, strict=False):
        name, kind, scale, zero_point = actual
        listed = (expected.name, expected.type if kind else "", expected.zero_point)
        if listed != (name, kind, zero_point) or not math.isclose(expected.scale, scale, rel_tol=1e-6):
            problems.append(
                f"the file's {role} is {_in_words(name, kind, scale, zero_point)}, the manifest says "
                f"{_in_words(expected.name, expected.type, expected.scale, expected.zero_point)}"
            )
    return problems


def _in_words(name: str, kind: str, scale: float, zero_point: int) -> str:
    """Describe a tensor for people."""
    return f"{name[:100]!r} {kind}" + (f" * {scale:g} from {zero_point}" if scale or zero_point else "")
