"""The verdict's rows, arranged for tables: one line per model and target, one cell per rung."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from device_tests.checks.finding import rungs_of

RowDict = Mapping[str, Any]
_UNTRIED = ("not verified", "n/a")
_WORST_FIRST = ("fail", *_UNTRIED)


@dataclass(frozen=True)
class Line:
    """One exported model on one target.

    Attributes:
        bundle: The bundle's name.
        target: The target's name.
        format: A format, for instance ``onnx``.
        precision: A precision, for instance ``fp32``.
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
        """True if anything was measured."""
        return any(row["figures"] for row in self.rungs.values())

    @property
    def untried(self) -> bool:
        """True if no rung could be tried at all."""
        return all(row["status"] in _UNTRIED and not row.get("excused") for row in self.rungs.values())

    @property
    def worst(self) -> str:
        """The worst status of its rungs."""
        statuses = {str(row["status"]) for row in self.rungs.values()}
        return next((status for status in _WORST_FIRST if status in statuses), "pass")

    def figure(self, rung: str, name: str) -> Any:
        """Return a figure, or None."""
        return self.rungs.get(rung, {}).get("figures", {}).get(name)


@dataclass(frozen=True)
class Glance:
    """One bundle at a glance: a row for each file, a column for each target.

    Attributes:
        bundle: The bundle's name.
        targets: The columns.
        rows: Format, precision, and for each target the status of the whole line and the rungs that do not pass.
    """

    bundle: str
    targets: Sequence[str]
    rows: Sequence[tuple[str, str, Sequence[tuple[str, str]]]]


def glances(table: Sequence[Line]) -> list[Glance]:
    """Return one glance for each bundle."""
    results: list[Glance] = []
    for bundle in dict.fromkeys(line.bundle for line in table):
        by_cell = {(line.format, line.precision, line.target): line for line in table if line.bundle == bundle}
        targets = list(dict.fromkeys(target for _, _, target in by_cell))
        files = dict.fromkeys((format, precision) for format, precision, _ in by_cell)
        rows = [(*file, [_summed(by_cell.get((*file, target))) for target in targets]) for file in files]
        results.append(Glance(bundle, targets, rows))
    return results


def _summed(line: Line | None) -> tuple[str, str]:
    """Return the worst status of a line, and the rungs that have it if not all do."""
    if line is None:
        return "", ""
    if line.worst == "pass":
        return "pass", ""
    rungs = [rung for rung, row in line.rungs.items() if row["status"] == line.worst]
    excused = all(line.rungs[rung].get("excused") for rung in rungs)
    text = "" if len(rungs) == len(line.rungs) else ", ".join(rungs)
    return line.worst, f"{text} (excused)" if excused else text


def lines(rows: Sequence[RowDict]) -> list[Line]:
    """Group rows by model and target, in their order."""
    grouped: dict[tuple[str, str, str, str], dict[str, RowDict]] = {}
    for row in rows:
        grouped.setdefault((row["bundle"], row["target"], row["format"], row["precision"]), {})[row["rung"]] = row
    return [Line(*key, rungs) for key, rungs in grouped.items()]


def reasons(rows: Sequence[RowDict]) -> list[tuple[str, str, str]]:
    """Return status, subject and reason, failures first: rungs of one model that share a reason are listed once."""
    grouped: dict[tuple[str, str], list[RowDict]] = {}
    for row in rows:
        if row["reason"]:
            grouped.setdefault((row["status"], row["reason"]), []).append(row)
    entries = [(status, _concerned(group), reason) for (status, reason), group in grouped.items()]
    return sorted(entries, key=lambda one: _WORST_FIRST.index(one[0]) if one[0] in _WORST_FIRST else len(_WORST_FIRST))


def _concerned(rows: Sequence[RowDict]) -> str:
    def names(key: str) -> str:
        return ", ".join(dict.fromkeys(str(row[key]) for row in rows))

    every = rungs_of(rows)
    rungs = [rung for rung in every if any(row["rung"] == rung for row in rows)]
    which = "all rungs" if len(rungs) == len(every) else ", ".join(rungs)
    files: dict[str, list[str]] = {}
    for row in rows:
        precisions = files.setdefault(row["format"], [])
        precisions += [row["precision"]] if row["precision"] not in precisions else []
    text = "; ".join(f"{format} {', '.join(precisions)}".strip() for format, precisions in files.items())
    return f"{names('bundle')} · {text} · {names('target')} · {which}"
