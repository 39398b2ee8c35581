"""A rung of the verification ladder on a bundle: see ``conftest.py`` for the options."""

from __future__ import annotations

import pytest

from device_tests.checks.finding import Finding


def test_rung(finding: Finding) -> None:
    """Passes, fails with the reason, or is skipped when it was not verified."""
    if finding.status == "not verified":
        pytest.skip(finding.reason)
    assert finding.status == "pass", f"{finding.reason}\n{dict(finding.figures)}"
