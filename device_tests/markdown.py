"""Verdicts and tables as Markdown, for a pull request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from device_tests.checks.finding import RUNGS

_MARKS = {"pass": "✅ pass", "fail": "❌ fail", "not verified": "not verified"}
_KEY = ("bundle", "target", "format", "precision")


def markdown(headline: str, rows: Sequence[Mapping[str, Any]], regressions: Sequence[str] = ()) -> str:
    """A headline, a table with a line for each model and target, and the reasons below it.

    Args:
        headline: One line.
        rows: As in ``verdict.json``.
        regressions: What got worse than a baseline.
    """
    states: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        mark = _MARKS[row["status"]] + (" (excused)" if row.get("excused") else "")
        states.setdefault(tuple(str(row[name]) for name in _KEY), {})[row["rung"]] = mark
    rungs = [(*key, *(found.get(rung, "") for rung in RUNGS)) for key, found in states.items()]
    lines = [f"## {headline}", "", table((*_KEY, *RUNGS), rungs)]
    failed = [row for row in rows if row["status"] == "fail" and not row.get("excused")]
    sections = {
        "Failed": [f"{_place(row)}: {row['reason']}" for row in failed],
        "Worse than the baseline": list(regressions),
        "Excused by the policy": [f"{_place(row)}: {row['excused']}" for row in rows if row.get("excused")],
        "Not verified": [
            f"{row['format']} on {row['target']}: {row['reason']}" for row in rows if row["status"] == "not verified"
        ],
    }
    for title, items in sections.items():
        if items:
            lines += ["", f"**{title}**", "", *dict.fromkeys(f"- {' '.join(item.split())}" for item in items)]
    return "\n".join(lines) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    return "\n".join([_line(header), "|" + "---|" * len(header), *map(_line, rows)])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _place(row: Mapping[str, Any]) -> str:
    return f"{row['bundle']} {row['format']} {row['precision']} on {row['target']}, {row['rung']}"
