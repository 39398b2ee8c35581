"""Climb the ladder with each fault: does the right rung fail?"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from device_tests.faults.catalogue import FAULTS, Fault
from device_tests.faults.variants import copy_changed
from device_tests.gates import Gates
from device_tests.ladder import check_model
from device_tests.running import Job
from device_tests.targets.registry import target as target_called
from device_tests.targets.target import Target
from device_tests.verdict import GATE_FAILED, NOT_VERIFIED, PASSED
from export.bundle import Bundle, read_bundle
from hetero.errors import InputError

Answer = Literal["caught", "missed", "not tried"]


@dataclass(frozen=True)
class Outcome:
    """What became of one fault.

    Attributes:
        fault: Its name.
        expected: The rung that has to fail.
        answer: ``caught`` when it failed; ``missed`` when it did not.
        failed: All rungs that failed.
        reason: The rung's own words, or why it was not tried.
    """

    fault: str
    expected: str
    answer: Answer
    failed: tuple[str, ...] = ()
    reason: str = ""


def try_faults(bundle: Bundle, target: Target, gates: Gates | None = None) -> list[Outcome]:
    """Break copies of a bundle, one fault each, and verify them.

    Args:
        bundle: A healthy one.
        target: Set up. A fault of another target's is tried there, where that is set up already.
        gates: The limits of the real verification.
    """
    gates = gates or Gates()
    return [_try(fault, bundle, target, gates) for fault in FAULTS]


def healthy(bundle: Bundle, target: Target, gates: Gates | None = None, *, again: bool = False) -> str:
    """What is wrong with the bundle as it is; empty when every model that the target runs passes.

    Args:
        bundle: The bundle.
        target: Set up.
        gates: Limits.
        again: Run also what is kept from an earlier verification.
    """
    problems: list[str] = []
    for entry in bundle.manifest.models:
        if entry.format in target.runtimes:
            findings = check_model(bundle, entry, Job(bundle, entry, target).run(again=again), gates or Gates())
            problems += [
                f"{entry.format} {entry.precision}, {finding.rung}: {finding.reason}"
                for finding in findings
                if finding.status == "fail"
            ]
    return "; ".join(problems)


def exit_code(outcomes: Sequence[Outcome], sound: str) -> int:
    """0 when all is as it should be, 1 when a fault was missed or the bundle itself fails, 3 when one was not tried."""
    answers = {outcome.answer for outcome in outcomes}
    if sound or "missed" in answers:
        return GATE_FAILED
    return NOT_VERIFIED if "not tried" in answers else PASSED


def table(outcomes: Sequence[Outcome]) -> str:
    """For people: fault, expected rung, what failed."""
    lines = [("fault", "has to fail", "failed", ""), *(_line(outcome) for outcome in outcomes)]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def _line(outcome: Outcome) -> tuple[str, str, str, str]:
    told = f"not tried: {outcome.reason}" if outcome.answer == "not tried" else outcome.answer
    return outcome.fault, outcome.expected, ", ".join(outcome.failed) or "-", told


def _try(fault: Fault, bundle: Bundle, target: Target, gates: Gates) -> Outcome:
    entry = fault.entry(bundle)
    if entry is None:
        reason = f"the bundle holds no {fault.format} {fault.precision} file"
        return Outcome(fault.name, fault.rung, "not tried", reason=reason)
    if fault.rung == "preprocessing" and not bundle.originals:
        return Outcome(fault.name, fault.rung, "not tried", reason="the bundle holds no original image files")
    try:
        machine = _machine(fault, target)
        change = fault.make(bundle, entry, machine)
    except InputError as error:
        return Outcome(fault.name, fault.rung, "not tried", reason=str(error))
    with tempfile.TemporaryDirectory(prefix="hetero-fault-") as folder:
        broken = read_bundle(copy_changed(bundle, entry, Path(folder) / "bundle", change))
        (model,) = broken.manifest.models
        findings = check_model(broken, model, Job(broken, model, machine).run(), fault.gates(gates, entry))
    if machine is not target:
        machine.close()
    failed = tuple(finding.rung for finding in findings if finding.status == "fail")
    reason = next((finding.reason for finding in findings if finding.rung == fault.rung), "")
    return Outcome(fault.name, fault.rung, "caught" if fault.rung in failed else "missed", failed, reason)


def _machine(fault: Fault, target: Target) -> Target:
    if not fault.target or fault.target == target.name:
        if fault.format not in target.runtimes:
            raise InputError(f"{target.name} has no runtime for {fault.format}")
        return target
    machine = target_called(fault.target)
    if not machine.state().startswith("ready"):
        raise InputError(f"{fault.target} is not set up: hetero device setup {fault.target}")
    machine.set_up()
    return machine
