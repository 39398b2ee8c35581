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


def notes_on(student: Mapping[str, Any]) -> list[str]:
    """Return lines for people, as far as there are figures: on M(q, g) > M(q, q), and on a gallery by the student."""
    return [line for line in (_rule_line(student), _gallery_line(student)) if line]


def _rule_line(student: Mapping[str, Any]) -> str:
    figures = student["figures"]
    if not figures.get("rule_reason"):
        return ""
    return f"M(q, g) > M(q, q) {STATUSES[figures['rule']]} for {student['bundle']}: {figures['rule_reason']}"


def _gallery_line(student: Mapping[str, Any]) -> str:
    """Return a line on the student as the model of the gallery, as of photos that a phone keeps."""
    figures = student["figures"]
    kept = [
        f"{share(figures, f'{side}_')} of the cloud's own cmc@1 of {queries} queries"
        for side, queries in (("as_gallery", "image"), ("texts", "text"))
        if figures.get(f"{side}_share_of_cloud") is not None
    ]
    return f"A gallery that {student['bundle']} embeds keeps {' and '.join(kept)}" if kept else ""


def share(figures: Mapping[str, Any], side: str = "") -> str:
    """Format the share of the cloud's own figure with its interval: ``93.1 % [89.9, 96.2]``.

    Args:
        figures: The student's figures.
        side: What the figures' names begin with; empty for the student's queries in the cloud's gallery.
    """
    if figures.get(f"{side}share_of_cloud") is None:
        return "-"
    value, low, high = (100 * figures[f"{side}share_of_cloud{end}"] for end in ("", "_low", "_high"))
    return f"{value:.1f} % [{low:.1f}, {high:.1f}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
