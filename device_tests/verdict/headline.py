"""The questions that a release raises, each answered in one line.

Files that reproduce the student say nothing about its quality, and a good student may ship in a broken file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from device_tests.checks import finding
from device_tests.checks.finding import Status
from device_tests.verdict.student_table import share

FILES = "The files reproduce the student"
STUDENT = "The student is good enough for this gallery"
EVIDENCE = "Your evidence bears it out"
NO_EVIDENCE = "no evidence"
"""The entry for a policy that requires evidence when none was supplied."""

Answer = Literal["pass", "fail", "not verified", "not judged"]


@dataclass(frozen=True)
class Headline:
    """A claim and its answer.

    Attributes:
        claim: :data:`FILES`, :data:`STUDENT` or :data:`EVIDENCE`.
        answer: ``not judged`` is for students alone, without requirements of a policy or with too few queries.
        told: Counts, or the figures of each student.
        sentence: The answer in words.
    """

    claim: str
    answer: Answer
    told: tuple[str, ...]
    sentence: str

    def __str__(self) -> str:
        """Return one line for people."""
        return f"{self.claim}: {self.answer.upper()} ({'; '.join(self.told)})"


def files_headline(rows: Sequence[Mapping[str, Any]], regressions: Sequence[str] = ()) -> Headline:
    """Return the headline over all rungs of the ladder.

    Args:
        rows: As in ``verdict.json``.
        regressions: Changes for the worse since a baseline.
    """
    rows = [row for row in rows if row["rung"] != finding.EVIDENCE]
    counted = counts(rows)
    numbers = [f"{count} {status}" for status, count in counted.items()]
    excused = sum(bool(row.get("excused")) for row in rows)
    numbers += [f"{excused} excused"] if excused else []
    numbers += [f"{len(regressions)} worse than the baseline"] if regressions else []
    open_rows = [row for row in rows if row["status"] in ("fail", "not verified") and not row.get("excused")]
    if any(row["status"] == "fail" for row in open_rows):
        answer, sentence = "fail", "At least one gate failed; the reasons are below the table."
    elif regressions:
        answer, sentence = "fail", "Every gate held, but something got worse than the baseline by more than chance."
    # A policy without a requirement that can be verified here has verified nothing.
    elif open_rows or not counted["pass"]:
        answer, sentence = "not verified", "Something that was asked for could not be verified; the reasons are below."
    elif excused:
        answer, sentence = "pass", "Every gate held but for what the policy excuses, which is named below."
    else:
        answer, sentence = "pass", "Everything that was asked for was verified, and every gate held."
    return Headline(FILES, answer, (", ".join(numbers),), sentence)


def student_headline(students: Sequence[Mapping[str, Any]]) -> Headline:
    """Return the headline over all students.

    Args:
        students: As under ``students`` in ``summary.json``.
    """
    figures = tuple(_figures(student) for student in students) or ("no figures",)
    open_ones = [student for student in students if student["status"] != "pass" and not student.get("excused")]
    if any(student["status"] == "fail" for student in open_ones):
        return Headline(
            STUDENT, "fail", figures, "A student falls short of what the policy asks; the reasons are below."
        )
    if any(student["asked"] for student in open_ones):
        return Headline(STUDENT, "not judged", figures, "The policy asks, but these queries cannot tell; see below.")
    if open_ones or not students:
        sentence = "No policy says what is good enough. These are the figures; the policy release would judge them."
        return Headline(STUDENT, "not judged", figures, sentence)
    excused = any(student["status"] != "pass" for student in students)
    beginning = "But for what the policy excuses, the" if excused else "The"
    return Headline(STUDENT, "pass", figures, f"{beginning} policy's demands on the student are met.")


def evidence_headlines(rows: Sequence[Mapping[str, Any]], *, asked: bool = False) -> tuple[Headline, ...]:
    """Return the headline over a release manager's own evidence; none if there is none and no policy requires it.

    Args:
        rows: As in ``verdict.json``.
        asked: True if a policy makes requirements on evidence.
    """
    rows = [row for row in rows if row["rung"] == finding.EVIDENCE]
    if not rows and not asked:
        return ()
    if not rows:
        sentence = "The policy says what evidence of your own must show: give --gallery and --queries."
        return (Headline(EVIDENCE, "not verified", (NO_EVIDENCE,), sentence),)
    numbers = ", ".join(f"{count} {status}" for status, count in counts(rows).items())
    lines = (numbers, *(line for name in dict.fromkeys(row["bundle"] for row in rows) if (line := _found(name, rows))))
    open_rows = [row for row in rows if row["status"] in ("fail", "not verified") and not row.get("excused")]
    if any(row["status"] == "fail" for row in open_rows):
        answer, sentence = "fail", "Your photos do not find in your gallery what they should; the reasons are below."
    elif open_rows or all(row["status"] == "n/a" for row in rows):
        answer, sentence = "not verified", "Your evidence cannot tell; the reasons are below."
    elif any(row.get("excused") for row in rows):
        answer, sentence = "pass", "But for what the policy excuses, your photos find in your gallery what they should."
    else:
        answer, sentence = "pass", "Your photos find in your gallery what they should; neither came with the bundle."
    return (Headline(EVIDENCE, answer, lines, sentence),)


def _found(bundle: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """Describe the worst of a bundle's models, for people; empty if none was measured."""
    measured = [row for row in rows if row["bundle"] == bundle and row["figures"].get("cmc@1") is not None]
    if not measured:
        return ""
    worst = min(measured, key=lambda row: row["figures"]["cmc@1"])
    figures = worst["figures"]
    text = f"{bundle}: cmc@1 {figures['cmc@1']:.3f} [{figures['cmc@1_low']:.3f}, {figures['cmc@1_high']:.3f}] at worst"
    text += f" ({worst['format']} {worst['precision']} on {worst['target']})"
    if figures["map@r"] != figures["cmc@1"]:
        text += f", map@r {figures['map@r']:.3f}"
    if figures.get("share_of_cloud") is not None:
        text += f", {share(figures)} of the cloud's own {figures['cmc@1_cloud']:.3f}"
    return f"{text}; chance is {figures['chance']:.3g}; {figures['photos']} photos in a gallery of {figures['gallery']}"


def counts(rows: Sequence[Mapping[str, Any]]) -> dict[Status, int]:
    """Count the rows of each status, zeros included."""
    counter = Counter(row["status"] for row in rows)
    return {status: counter[status] for status in get_args(Status)}


def _figures(student: Mapping[str, Any]) -> str:
    figures = student["figures"]
    if not figures:
        return f"{student['bundle']}: {student['reason']}"
    told = f"{student['bundle']}: cmc@1 {figures['cmc@1']:.3f} in the cloud's gallery"
    if figures["share_of_cloud"] is not None:
        told += f", {share(figures)} of the cloud's own {figures['cmc@1_cloud']:.3f}"
    return f"{told}; chance is {figures['chance']:.3g}"
