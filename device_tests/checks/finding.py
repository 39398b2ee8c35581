"""What a rung says."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["pass", "fail", "not verified", "n/a"]
"""``not verified`` was asked for and not done; ``n/a`` cannot be: the target has nothing that runs the format."""
Figure = float | int | bool | str | None

RUNGS = ("loads", "preprocessing", "parity", "retrieval", "cost")
EVIDENCE = "evidence"
"""A further rung, where somebody brings a gallery and photos of their own."""


@dataclass(frozen=True)
class Finding:
    """The answer of one rung.

    Attributes:
        rung: One of :data:`RUNGS`, or :data:`EVIDENCE`.
        status: A skip is ``not verified`` or ``n/a``, never a pass.
        reason: Why it is not a pass; empty for one.
        figures: What was measured; ``None`` where a figure does not exist.
    """

    rung: str
    status: Status
    reason: str = ""
    figures: Mapping[str, Figure] = field(default_factory=dict[str, Figure])


def rungs_of(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The rungs that a table of these rows has: the ladder's, and evidence where it was brought.

    Args:
        rows: As in ``verdict.json``.
    """
    return (*RUNGS, EVIDENCE) if any(row["rung"] == EVIDENCE for row in rows) else RUNGS


def judged(rung: str, problems: Sequence[str], figures: Mapping[str, Figure], unknown: Sequence[str] = ()) -> Finding:
    """A fail with problems, not verified with what is unknown, else a pass.

    JSON has no NaN and no infinity, so these become ``None``.
    """
    clean = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in figures.items()
    }
    status: Status = "fail" if problems else "not verified" if unknown else "pass"
    return Finding(rung, status, "; ".join(problems or unknown), clean)
