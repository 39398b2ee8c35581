"""The outcome of a verification: rows, headlines and an exit code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_tests.checks.finding import Figure, Finding, Status, rungs_of
from device_tests.checks.quality import Quality
from device_tests.evidence.origin import evidence_line, origin_lines
from device_tests.verdict.headline import NO_EVIDENCE, Headline, evidence_headlines, files_headline, student_headline
from device_tests.verdict.junit import junit_xml
from device_tests.verdict.markdown import markdown
from device_tests.verdict.student_table import COLUMNS, cells, notes_on
from hetero.display.text import one_line
from hetero.files import write_bytes, write_json, write_text

PASSED, GATE_FAILED, BAD_INPUT, NOT_VERIFIED = 0, 1, 2, 3
"""Exit codes."""
SCHEMA = "hetero/verification/2"


@dataclass(frozen=True)
class Row:
    """One rung of one exported model on one target.

    Attributes:
        bundle: The bundle's name.
        target: Name as on the command line.
        format: A format, for instance ``onnx``.
        precision: A precision, for instance ``fp32``.
        rung: One of :data:`device_tests.checks.finding.RUNGS`, or of its ``ADDITIONAL``.
        status: ``pass``, ``fail``, ``not verified`` or ``n/a``.
        reason: The reason why it is not a pass.
        figures: The measurements.
        excused: The reason why the policy lets it fail for now; empty if it does not.
    """

    bundle: str
    target: str
    format: str
    precision: str
    rung: str
    status: Status
    reason: str = ""
    figures: Mapping[str, Figure] = field(default_factory=dict[str, Figure])
    excused: str = ""

    @classmethod
    def of(cls, bundle: str, target: str, format: str, precision: str, finding: Finding) -> Row:
        """Return a row from a finding."""
        return cls(bundle, target, format, precision, finding.rung, finding.status, finding.reason, finding.figures)

    @property
    def place(self) -> str:
        """The place to display."""
        return f"{self.bundle} {self.format} {self.precision} on {self.target}, {self.rung}"

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serialisable record."""
        return {**vars(self), "figures": dict(self.figures)}


@dataclass(frozen=True)
class Verdict:
    """All rows of a verification, and the students.

    Attributes:
        rows: In the order bundle, target, format, rung.
        about: Targets, gates, versions and spaces, for the report.
        regressions: Changes for the worse since a baseline by more than chance, for people.
        students: One entry for each bundle.
    """

    rows: tuple[Row, ...]
    about: Mapping[str, Any] = field(default_factory=dict[str, Any])
    regressions: tuple[str, ...] = ()
    students: tuple[Quality, ...] = ()

    @property
    def headlines(self) -> tuple[Headline, ...]:
        """The headlines on the files, the student and, if there is any, evidence of the user's own."""
        rows, students = _records(self.rows), _records(self.students)
        asked = any(value is not None for value in self.about.get("gates_of_evidence", {}).values())
        evidence = evidence_headlines(rows, asked=asked)
        return files_headline(rows, self.regressions), student_headline(students), *evidence

    @property
    def exit_code(self) -> int:
        """0 if everything required passed, 1 if a gate failed, 3 if something required is not known.

        ``n/a`` does not count, and a student counts only with a policy's requirements.
        """
        answers = [headline.answer for headline in self.headlines]
        if "fail" in answers:
            return GATE_FAILED
        unknown = any(one.status == "not judged" and one.asked and not one.excused for one in self.students)
        return NOT_VERIFIED if "not verified" in answers or unknown else PASSED

    @property
    def headline(self) -> str:
        """The answers for people, one line each."""
        return "\n".join(map(str, self.headlines))

    @property
    def origins(self) -> dict[str, str]:
        """The signer of each bundle, and its meaning for a pass, by the bundle's name."""
        return origin_lines(self.about.get("bundles", {}), self.about.get("evidence"))

    @property
    def evidence(self) -> str:
        """The evidence supplied, for people; empty if there is none."""
        return evidence_line(self.about.get("evidence"))

    def save(self, out: Path) -> None:
        """Write ``verdict.json``, ``summary.json``, ``junit.xml`` and ``summary.md``."""
        rows, students = _records(self.rows), _records(self.students)
        write_json(out / "verdict.json", rows)
        summary = {
            "schema": SCHEMA,
            "exit_code": self.exit_code,
            "headlines": [{**vars(one), "line": str(one)} for one in self.headlines],
            "students": students,
            **self.about,
        }
        write_json(out / "summary.json", summary)
        missing = "".join(one.sentence for one in self.headlines if one.told == (NO_EVIDENCE,))
        cases = junit_xml(rows, self.regressions, students, self.origins, self.evidence, missing)
        write_bytes(out / "junit.xml", cases)
        notes = [*self.origins.values(), *([self.evidence] if self.evidence else [])]
        write_text(out / "summary.md", markdown(self.headlines, rows, students, self.regressions, notes))

    def table(self) -> str:
        """Return tables for the terminal, with the reasons below them."""
        rungs = rungs_of(_records(self.rows))
        heads = ("bundle", "target", "format", "precision", *rungs)
        states = _by_model(self.rows).items()
        lines = _aligned([heads, *((*key, *(statuses.get(rung, "") for rung in rungs)) for key, statuses in states)])
        if self.students:
            students = [
                (*cells(one.to_dict()), one.status + (" (excused)" if one.excused else "")) for one in self.students
            ]
            lines += ["", *_aligned([COLUMNS, *students])]
            lines += [line for one in self.students for line in notes_on(one.to_dict())]
        lines += ["", *self.origins.values()] if self.origins else []
        lines += [one_line(self.evidence)] if self.evidence else []
        reasons = [*self._reasons(), *(f"excused: {excuse}" for excuse in self.excuses)]
        reasons += [f"worse: {regression}" for regression in self.regressions]
        return "\n".join([*lines, "", *map(one_line, reasons)] if reasons else lines)

    def _reasons(self) -> list[str]:
        """Return each reason once; one that holds for every file of a format omits the file's name."""
        return list(
            dict.fromkeys(
                f"{entry.status}: {entry.format} on {entry.target}: {entry.reason}"
                if isinstance(entry, Row) and entry.status != "fail"
                else f"{entry.status}: {entry.place}: {entry.reason}"
                for entry in (*self.rows, *(student for student in self.students if student.asked))
                if entry.reason
            )
        )

    @property
    def excuses(self) -> list[str]:
        """The policy's excuses that apply for now, with reasons, each once."""
        every = (*self.rows, *self.students)
        return list(dict.fromkeys(f"{one.place}: {one.excused}" for one in every if one.excused))


def _records(items: Sequence[Row] | Sequence[Quality]) -> list[dict[str, Any]]:
    return [item.to_dict() for item in items]


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _by_model(rows: tuple[Row, ...]) -> dict[tuple[str, str, str, str], dict[str, str]]:
    """Return the status of each rung, by bundle, target, format and precision."""
    statuses: dict[tuple[str, str, str, str], dict[str, str]] = {}
    for row in rows:
        statuses.setdefault((row.bundle, row.target, row.format, row.precision), {})[row.rung] = row.status
    return statuses
