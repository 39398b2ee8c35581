"""A student's figures as cells, for the terminal, Markdown and the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

COLUMNS = (
    "student", "cmc@1, cloud's gallery", "the cloud's own", "share of it, 95 %", "student's own gallery", "chance",
    "good enough",
)  # fmt: skip

STATUSES = {"holds": "holds", "fails": "does not hold", "undecided": "is undecided"}


def cells(student: Mapping[str, Any]) -> tuple[str, ...]:
    """Return a cell for each of :data:`COLUMNS` but the last, which is the answer.

    Args:
        student: As under ``students`` in ``summary.json``.
    """
    figures = student["figures"]
    return (
        student["bundle"],
        *(_number(figures.get(name)) for name in ("cmc@1", "cmc@1_cloud")),
        share(figures),
        *(_number(figures.get(name)) for name in ("cmc@1_own_gallery", "chance")),
    )


def rule_line(student: Mapping[str, Any]) -> str:
    """Return a line for people on M(q, g) > M(q, q) and the reason; empty without the figures."""
    figures = student["figures"]
    if not figures.get("rule_reason"):
        return ""
    return f"M(q, g) > M(q, q) {STATUSES[figures['rule']]} for {student['bundle']}: {figures['rule_reason']}"


def share(figures: Mapping[str, Any]) -> str:
    """Format the share of the cloud's own figure with its interval: ``93.1 % [89.9, 96.2]``."""
    if figures.get("share_of_cloud") is None:
        return "-"
    value, low, high = (100 * figures[f"share_of_cloud{end}"] for end in ("", "_low", "_high"))
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
