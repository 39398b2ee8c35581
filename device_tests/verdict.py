"""The outcome of a verification: rows, a headline and an exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_tests.checks.finding import RUNGS, Figure, Finding, Status
from device_tests.junit import junit_xml
from device_tests.markdown import markdown
from hetero.files import write_bytes, write_json, write_text

PASSED, GATE_FAILED, BAD_INPUT, NOT_VERIFIED = 0, 1, 2, 3
"""Exit codes."""


@dataclass(frozen=True)
class Row:
    """One rung of one exported model on one target.

    Attributes:
        bundle: The bundle's name.
        target: As on the command line.
        format: For instance ``onnx``.
        precision: For instance ``fp32``.
        rung: One of :data:`device_tests.checks.finding.RUNGS`.
        status: ``pass``, ``fail`` or ``not verified``.
        reason: Why it is not a pass.
        figures: What was measured.
        asked: Whether the verification was asked for it: not having done so then has an exit code of its own.
        excused: Why the policy lets it fail for now; empty when it does not.
    """

    bundle: str
    target: str
    format: str
    precision: str
    rung: str
    status: Status
    reason: str = ""
    figures: Mapping[str, Figure] = field(default_factory=dict[str, Figure])
    asked: bool = True
    excused: str = ""

    @classmethod
    def of(cls, bundle: str, target: str, format: str, precision: str, finding: Finding, *, asked: bool = True) -> Row:
        """A row from a finding."""
        return cls(
            bundle, target, format, precision, finding.rung, finding.status, finding.reason, finding.figures, asked
        )

    def to_dict(self) -> dict[str, Any]:
        """A JSON-serialisable record."""
        return {**vars(self), "figures": dict(self.figures)}


@dataclass(frozen=True)
class Verdict:
    """All rows of a verification.

    Attributes:
        rows: In the order bundle, target, format, rung.
        about: Targets, gates, versions and spaces, for the report.
        regressions: What got worse than a baseline by more than chance, for people.
    """

    rows: tuple[Row, ...]
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])
    regressions: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 when all that was asked for passed, 1 when a gate failed, 3 when something asked for was not verified."""
        if any(row.status == "fail" and not row.excused for row in self.rows) or self.regressions:
            return GATE_FAILED
        # Whoever asks for nothing that can be verified here has not verified anything.
        if any(row.status == "not verified" and row.asked and not row.excused for row in self.rows) or not self._count(
            "pass"
        ):
            return NOT_VERIFIED
        return PASSED

    @property
    def headline(self) -> str:
        """One line for people."""
        word = {PASSED: "PASS", GATE_FAILED: "FAIL", NOT_VERIFIED: "NOT VERIFIED"}[self.exit_code]
        told = [f"{self._count(status)} {status}" for status in ("pass", "fail", "not verified")]
        if excused := sum(bool(row.excused) for row in self.rows):
            told.append(f"{excused} excused")
        if self.regressions:
            told.append(f"{len(self.regressions)} worse than the baseline")
        return f"{word}: {', '.join(told)}"

    def save(self, out: Path) -> None:
        """Write ``verdict.json``, ``summary.json``, ``junit.xml`` and ``summary.md``."""
        write_json(out / "verdict.json", [row.to_dict() for row in self.rows])
        write_json(out / "summary.json", {"headline": self.headline, "exit_code": self.exit_code, **self.about})
        write_bytes(out / "junit.xml", junit_xml([row.to_dict() for row in self.rows], self.regressions))
        write_text(out / "summary.md", markdown(self.headline, [row.to_dict() for row in self.rows], self.regressions))

    def table(self) -> str:
        """A table for the terminal, with the reasons below it."""
        heads = ("bundle", "target", "format", "precision", *RUNGS)
        lines = [
            heads,
            *((*key, *(states.get(rung, "") for rung in RUNGS)) for key, states in _by_model(self.rows).items()),
        ]
        widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
        shown = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
        ]
        reasons = Counter(
            f"{row.status}: {row.bundle} {row.format} {row.precision} on {row.target}, {row.rung}: {row.reason}"
            if row.status == "fail"
            else f"{row.status}: {row.format} on {row.target}: {row.reason}"
            for row in self.rows
            if row.reason
        )
        told = [
            *reasons,
            *(f"excused: {excuse}" for excuse in self.excuses),
            *(f"worse: {one}" for one in self.regressions),
        ]
        return "\n".join([*shown, "", *told] if told else shown)

    @property
    def excuses(self) -> list[str]:
        """What the policy lets fail for now, and why: each once."""
        return list(
            dict.fromkeys(
                f"{row.bundle} {row.format} {row.precision} on {row.target}, {row.rung}: {row.excused}"
                for row in self.rows
                if row.excused
            )
        )

    def _count(self, status: Status) -> int:
        return sum(row.status == status for row in self.rows)


def _by_model(rows: tuple[Row, ...]) -> dict[tuple[str, str, str, str], dict[str, str]]:
    """The status of each rung, by bundle, target, format and precision."""
    found: dict[tuple[str, str, str, str], dict[str, str]] = {}
    for row in rows:
        found.setdefault((row.bundle, row.target, row.format, row.precision), {})[row.rung] = row.status
    return found
