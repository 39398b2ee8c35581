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


@dataclass(frozen=True)
class Glance:
    """One bundle at a glance: a row for each file, a column for each target.

    Attributes:
        bundle: The bundle's name.
        targets: The columns.
        rows: Format, precision, and for each target the status of the whole line and the rungs that are not a pass.
    """

    bundle: str
    targets: Sequence[str]
    rows: Sequence[tuple[str, str, Sequence[tuple[str, str]]]]


def glances(table: Sequence[Line]) -> list[Glance]:
    """One for each bundle."""
    found: list[Glance] = []
    for bundle in dict.fromkeys(line.bundle for line in table):
        held = {(line.format, line.precision, line.target): line for line in table if line.bundle == bundle}
        targets = list(dict.fromkeys(target for _, _, target in held))
        files = dict.fromkeys((format, precision) for format, precision, _ in held)
        rows = [(*file, [_summed(held.get((*file, target))) for target in targets]) for file in files]
        found.append(Glance(bundle, targets, rows))
    return found


def _summed(line: Line | None) -> tuple[str, str]:
    """The worst status of a line, and which rungs have it when not all have."""
    if line is None:
        return "", ""
    for status in ("fail", "not verified"):
        rungs = [rung for rung, row in line.rungs.items() if row["status"] == status]
        if rungs:
            excused = all(line.rungs[rung].get("excused") for rung in rungs)
            told = "" if len(rungs) == len(line.rungs) else ", ".join(rungs)
            return status, f"{told} (excused)" if excused else told
    return "pass", ""


def lines(rows: Sequence[RowDict]) -> list[Line]:
    """Group rows by model and target, in their order."""
    found: dict[tuple[str, str, str, str], dict[str, RowDict]] = {}
    for row in rows:
        found.setdefault((row["bundle"], row["target"], row["format"], row["precision"]), {})[row["rung"]] = row
    return [Line(*key, rungs) for key, rungs in found.items()]


def reasons(rows: Sequence[RowDict]) -> list[tuple[str, str, str]]:
    """Status, what it concerns, and why, failures first: rungs of one model that share a reason are told once."""
    grouped: dict[tuple[str, str], list[RowDict]] = {}
    for row in rows:
        if row["reason"]:
            grouped.setdefault((row["status"], row["reason"]), []).append(row)
    told = [(status, _concerned(held), reason) for (status, reason), held in grouped.items()]
    return sorted(told, key=lambda one: one[0] != "fail")


def counts(rows: Sequence[RowDict]) -> dict[str, int]:
    """How many rows have each status."""
    counter = Counter(str(row["status"]) for row in rows)
    return {status: counter[status] for status in ("pass", "fail", "not verified")}


def _concerned(rows: Sequence[RowDict]) -> str:
    def names(key: str) -> str:
        return ", ".join(dict.fromkeys(str(row[key]) for row in rows))

    rungs = [rung for rung in RUNGS if any(row["rung"] == rung for row in rows)]
    which = "all rungs" if len(rungs) == len(RUNGS) else ", ".join(rungs)
    files: dict[str, list[str]] = {}
    for row in rows:
        precisions = files.setdefault(row["format"], [])
        precisions += [row["precision"]] if row["precision"] not in precisions else []
    told = "; ".join(f"{format} {', '.join(precisions)}".strip() for format, precisions in files.items())
    return f"{names('bundle')} · {told} · {names('target')} · {which}"
