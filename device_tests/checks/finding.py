"""The answer of a rung."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from export.bundle.manifest import Manifest

Status = Literal["pass", "fail", "not verified", "n/a"]
"""``not verified``: requested but not done; ``n/a``: impossible, because nothing on the target runs the format."""
Figure = float | int | bool | str | None

RUNGS = ("loads", "preprocessing", "parity", "retrieval", "cost")
TEXT = "text"
"""An additional rung, for bundles with golden texts."""
GALLERY = "gallery"
"""An additional rung, for bundles that carry a gallery."""
EVIDENCE = "evidence"
"""An additional rung, for a gallery and photos that the user brings."""
ADDITIONAL = (TEXT, GALLERY, EVIDENCE)


@dataclass(frozen=True)
class Finding:
    """The answer of one rung.

    Attributes:
        rung: One of :data:`RUNGS`, or of :data:`ADDITIONAL`.
        status: ``not verified`` or ``n/a`` for a skip, never a pass.
        reason: The reason why it is not a pass; empty for one.
        figures: The measurements; ``None`` where a figure does not exist.
    """

    rung: str
    status: Status
    reason: str = ""
    figures: Mapping[str, Figure] = field(default_factory=dict[str, Figure])


def rungs_of(rows: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the rungs of a table of these rows: the ladder's, and those of the additional ones that occur.

    Args:
        rows: As in ``verdict.json``.
    """
    present = {row["rung"] for row in rows}
    return (*RUNGS, *(rung for rung in ADDITIONAL if rung in present))


def ladder_of(manifest: Manifest) -> tuple[str, ...]:
    """Return the rungs that a bundle's own content can answer."""
    return (*RUNGS, *([TEXT] if manifest.texts else []), *([GALLERY] if manifest.gallery else []))


def judged(rung: str, problems: Sequence[str], figures: Mapping[str, Figure], unknown: Sequence[str] = ()) -> Finding:
    """Return a fail with problems, not verified with unknowns, else a pass.

    JSON has no NaN and no infinity, so these become ``None``.
    """
    clean = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in figures.items()
    }
    status: Status = "fail" if problems else "not verified" if unknown else "pass"
    return Finding(rung, status, "; ".join(problems or unknown), clean)
