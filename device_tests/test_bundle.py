"""A rung of the verification ladder on a bundle, and its student: see ``conftest.py`` for the options."""

from __future__ import annotations

import pytest

from device_tests.checks.finding import Finding
from device_tests.checks.quality import Quality


def test_rung(finding: Finding) -> None:
    """Test one rung: it passes, fails with the reason, or is skipped if it was not verified."""
    if finding.status in ("not verified", "n/a"):
        pytest.skip(f"{finding.status}: {finding.reason}")
    assert finding.status == "pass", f"{finding.reason}\n{dict(finding.figures)}"


def test_student(student: Quality) -> None:
    """Test one student: it passes, fails with the reason, or is skipped if no policy has requirements."""
    if student.status == "not judged":
        pytest.skip(f"not judged: {student.reason}")
    assert student.status == "pass", f"{student.reason}\n{dict(student.figures)}"
