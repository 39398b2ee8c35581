"""All commands: how many kills each gets, and the table."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import importlib
import os
import shutil
import sys
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from unittest import mock

from benchmarks.crash_points.case import AGAIN, Case, Place
from benchmarks.crash_points.inputs import make_models, write_inputs
from benchmarks.crash_points.processes import stand_ins
from benchmarks.crash_points.trial import Finding, Trial
from benchmarks.machine import where_and_when
from hetero.files import write_json

Item = TypeVar("Item")
_SECOND = 5
"""Of so many kills, one is followed by a second, of the next run."""
_LOADED = (
    "export.formats.onnx.convert",
    "export.formats.onnx.compact",
    "onnxscript.function_libs.torch_lib.registration",
    "torch._functorch._aot_autograd.graph_capture",
    "torch.onnx._internal.exporter._registration",
)
"""What the converter loads, which is forked here, too."""
COLUMNS = ("command", "writes", "kills", "twice", "lost", "half", "different", "leftovers", "seconds")


@dataclass
class Row:
    """What came of one command.

    Attributes:
        command: Its name, and what stood when it started.
        writes: That its uninterrupted run makes.
        kills: How often it was killed.
        twice: How often the next run was killed, too.
        seconds: That the kills took.
        findings: Kills with a consequence.
    """

    command: str
    writes: int
    kills: int = 0
    twice: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list[Finding])

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        broken = [sum(bool(getattr(one, what)) for one in self.findings) for what in COLUMNS[4:8]]
        return (self.command, *map(str, (self.writes, self.kills, self.twice, *broken)), f"{self.seconds:.0f}")


class Bench:
    """Models and files that the commands read, made once; and everything loaded that they need.

    Args:
        folder: An empty one.
        cases: The commands, each of which is run here once: what is loaded then need not be in each fork.
    """

    def __init__(self, folder: Path, cases: Sequence[Case]) -> None:
        self._place = Place(folder / "given", folder / "state")
        self._place.given.mkdir()
        write_inputs(self._place.given)
        making = Place(self._place.given, folder / "making")
        with _kept_in(making.state), stand_ins(), contextlib.redirect_stdout(sys.stderr):
            make_models(making)
            for case in {case.name.removesuffix(AGAIN): case for case in cases}.values():
                with contextlib.suppress(SystemExit):
                    (case.before or case.run)(making)
                shutil.rmtree(making.out, ignore_errors=True)
        for name in _LOADED:
            importlib.import_module(name)
        gc.freeze()  # Forks share what is not collected.

    def trial(self, case: Case) -> Trial:
        """A command, run twice without a kill."""
        return Trial(case, self._place)

    def run(self, cases: Sequence[Case], points: int, out: Path | None) -> int:
        """Kill each command; print a line for each, and write the figures after each.

        Args:
            cases: The commands.
            points: Kills of all together, about evenly shared; 0 for every one.
            out: A JSON file, or None.

        Returns:
            1 if a kill had a consequence, else 0.
        """
        trials = {case.name: self.trial(case) for case in cases}
        shares = shared(points, {name: (len(trial.kills()), trial.case.most) for name, trial in trials.items()})
        about, rows = where_and_when(), list[Row]()
        print("\t".join(COLUMNS), flush=True)
        for name, trial in trials.items():
            rows.append(killed(trial, shares[name]))
            print("\t".join(rows[-1].cells()), flush=True)
            for one in rows[-1].findings:
                print(f"  {one}", file=sys.stderr, flush=True)
            if out is not None:
                write_json(out, {**about, "points": points, "commands": [dataclasses.asdict(row) for row in rows]})
        print(f"{sum(row.kills for row in rows)} kills, {sum(len(row.findings) for row in rows)} with a consequence")
        return 1 if any(row.findings for row in rows) else 0


def killed(trial: Trial, count: int) -> Row:
    """Kill a command so many times, evenly over its writes."""
    started, row = time.monotonic(), Row(trial.case.name, len(trial.writes))
    trial.prepare()
    for number, kill in enumerate(spread(trial.kills(), count)):
        second = 1 + kill.at // 2 if number % _SECOND == _SECOND - 1 else 0
        finding = trial.killed(kill, second=second)
        row.kills += 1
        row.twice += second > 0
        if finding.is_broken:
            row.findings.append(finding)
    row.seconds = time.monotonic() - started
    return row


def shared(points: int, held: dict[str, tuple[int, int]]) -> dict[str, int]:
    """Share kills out evenly: no command gets more than it has, or than is asked of a slow one.

    Args:
        points: In all; 0 for all there are.
        held: Of each command, how many there are, and the most that it should get.
    """
    most = {name: there if points == 0 else min(there, limit) for name, (there, limit) in held.items()}
    given = dict.fromkeys(held, 0)
    left = points or sum(most.values())
    while left and (open_ := [name for name in held if given[name] < most[name]]):
        each = max(1, left // len(open_))
        for name in open_[:left]:
            more = min(each, most[name] - given[name])
            given[name] += more
            left -= more
    return given


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """So many of the items, the first and the last among them, evenly spaced."""
    if count >= len(items):
        return list(items)
    last = len(items) - 1
    return [items[round(number * last / max(count - 1, 1))] for number in range(count)]


@contextlib.contextmanager
def _kept_in(folder: Path) -> Generator[None]:
    folder.mkdir()
    kept = {"HETERO_CACHE": str(folder), "XDG_CONFIG_HOME": str(folder), "TMPDIR": str(folder)}
    with mock.patch.dict(os.environ, kept), mock.patch("tempfile.tempdir", None):
        yield
