"""The verdict's rows, arranged for tables: one line a model and target, one cell a rung."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from device_tests.checks.finding import RUNGS

RowDict = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """One exported model on one target.

    Attributes:
        bundle: The bundle's name.
        target: The target's name.
        format: For instance ``onnx``.
        precision: For instance ``fp32``.
        rungs: The row of each rung, by its name.
    """

    bundle: str
    target: str
    format: str
    precision: str
    rungs: Mapping[str, RowDict] = field(hash=False)

    @property
    def label(self) -> str:
        """Short name for plots."""
        return f"{self.bundle} · {self.target} · {self.format} {self.precision}"

    @property
    def verified(self) -> bool:
        """Whether anything was measured."""
        return any(row["figures"] for row in self.rungs.values())

    @property
    def untried(self) -> bool:
        """Whether no rung could be tried at all."""
        return all(row["status"] == "not verified" and not row.get("excused") for row in self.rungs.values())

    def figure(self, rung: str, name: str) -> Any:
        """A figure, or None."""
        return self.rungs.get(rung, {}).get("figures", {}).get(name)


def lines(rows: Sequence[RowDict]) -> list[Line]:
    """Group rows by model and target, in their order."""
    found: dict[tuple[str, str, str, str], dict[str, RowDict]] = {}
    for row in rows:
        found.setdefault((row["bundle"], row["target"], row["format"], row["precision"]), {})[row["rung"]] = row
    return [Line(*key, rungs) for key, rungs in found.items()]


def reasons(rows: Sequence[RowDict]) -> list[tuple[str, str, str]]:
    """Status, what it concerns, and why: rungs of one model that share a reason are told once."""
    grouped: dict[tuple[str, str], list[RowDict]] = {}
    for row in rows:
        if row["reason"]:
            grouped.setdefault((row["status"], row["reason"]), []).append(row)
    return [(status, _concerned(held), reason) for (status, reason), held in grouped.items()]


def counts(rows: Sequence[RowDict]) -> dict[str, int]:
    """How many rows have each status."""
    counter = Counter(str(row["status"]) for row in rows)
    return {status: counter[status] for status in ("pass", "fail", "not verified")}


def _concerned(rows: Sequence[RowDict]) -> str:
    def names(key: str) -> str:
        return ", ".join(dict.fromkeys(str(row[key]) for row in rows))

    rungs = [rung for rung in RUNGS if any(row["rung"] == rung for row in rows)]
    which = "all rungs" if len(rungs) == len(RUNGS) else ", ".join(rungs)
    return f"{names('bundle')} · {names('format')} · {names('target')} · {which}"
