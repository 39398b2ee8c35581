"""Verdicts and tables as Markdown, for a pull request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from device_tests.checks.finding import rungs_of
from device_tests.verdict.headline import Headline
from device_tests.verdict.student_table import COLUMNS, cells, notes_on
from hetero.display.text import in_markdown

_MARKS = {"pass": "✅ pass", "fail": "❌ fail"}
_KEY = ("bundle", "target", "format", "precision")

Record = Mapping[str, Any]


def markdown(
    headlines: Sequence[Headline],
    rows: Sequence[Record],
    students: Sequence[Record],
    regressions: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> str:
    """Return headlines, a table of students, one with a line for each model and target, and the reasons below.

    Args:
        headlines: The answers on top.
        rows: As in ``verdict.json``.
        students: As under ``students`` in ``summary.json``.
        regressions: Changes for the worse since a baseline.
        notes: The signers of the bundles, and the evidence supplied.
    """
    lines = list[str]()
    for headline in headlines:
        lines += [
            f"## {headline.claim}: {_mark(headline.answer)}",
            "",
            "  \n".join(map(in_markdown, headline.told)),
            "",
        ]
    lines += [*(f"- {in_markdown(line)}" for line in notes), ""] if notes else []
    if students:
        lines += [table(COLUMNS, [(*cells(student), _state(student)) for student in students]), ""]
        lines += [text for student in students for line in notes_on(student) for text in (in_markdown(line), "")]
    lines.append(_rungs(rows))
    for title, items in _reasons(rows, students, regressions).items():
        if items:
            lines += ["", f"**{title}**", "", *dict.fromkeys(f"- {in_markdown(item)}" for item in items)]
    return "\n".join(lines) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join([_line(header), "|" + "---|" * len(header), *map(_line, rows)])


def _rungs(rows: Sequence[Record]) -> str:
    states: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        states.setdefault(tuple(str(row[name]) for name in _KEY), {})[row["rung"]] = _state(row)
    rungs = rungs_of(rows)
    return table((*_KEY, *rungs), [(*key, *(found.get(rung, "") for rung in rungs)) for key, found in states.items()])


def _reasons(
    rows: Sequence[Record], students: Sequence[Record], regressions: Sequence[str]
) -> dict[str, Sequence[str]]:
    def of(status: str) -> list[Record]:
        return [row for row in (*students, *rows) if row["status"] == status]

    return {
        "Failed": [f"{_place(row)}: {row['reason']}" for row in of("fail") if not row.get("excused")],
        "Worse than the baseline": regressions,
        "Excused by the policy": [f"{_place(row)}: {row['excused']}" for row in (*students, *rows) if row["excused"]],
        "Not judged": [f"{_place(row)}: {row['reason']}" for row in of("not judged") if row["asked"]],
        "Not verified": [_format(row) for row in of("not verified")],
        "Not applicable": [_format(row) for row in of("n/a")],
    }


def _state(row: Record) -> str:
    return _mark(row["status"]) + (" (excused)" if row["excused"] else "")


def _mark(status: str) -> str:
    return _MARKS.get(status, status)


def _line(row: Sequence[str]) -> str:
    return f"| {' | '.join(map(in_markdown, row))} |"


def _place(row: Record) -> str:
    if "rung" not in row:
        return f"the student of {row['bundle']}"
    return f"{row['bundle']} {row['format']} {row['precision']} on {row['target']}, {row['rung']}"


def _format(row: Record) -> str:
    return f"{row['format']} on {row['target']}: {row['reason']}"
