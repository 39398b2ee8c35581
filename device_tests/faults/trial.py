"""Verify a bundle with each fault, and check that the right rung fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from device_tests.checks.finding import Status, ladder_of
from device_tests.checks.gates import Gates
from device_tests.faults.catalogue import FAULTS, Fault
from device_tests.faults.quantised import with_int8
from device_tests.faults.variants import copy_changed
from device_tests.ladder.climb import check_model
from device_tests.ladder.running import Job
from device_tests.targets.registry import target as target_called
from device_tests.targets.target import Target
from device_tests.verdict.verdict import GATE_FAILED, NOT_VERIFIED, PASSED
from export.bundle.reading import Bundle, read_bundle
from hetero.errors import InputError
from hetero.storage.scratch import scratch_folder

Answer = Literal["caught", "missed", "not shown", "not tried"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of one fault.

    Attributes:
        fault: The fault's name.
        expected: The rung that has to fail, or must not be verified; two where either may.
        answer: ``caught`` if the rung gave the required answer; ``missed`` if it passed;
            ``not shown`` if it did not pass, but the bundle's queries are too few for it to fail.
        failed: All rungs that failed, and the expected one where it was not verified.
        reason: The rung's own reason, or why the fault was not tried.
    """

    fault: str
    expected: str
    answer: Answer
    failed: tuple[str, ...] = ()
    reason: str = ""


def try_faults(bundle: Bundle, target: Target, gates: Gates | None = None) -> list[Outcome]:
    """Break copies of a bundle, one fault each, and verify them.

    Faults of int8 files are tried on one made of the float32 file where the bundle ships none; faults of texts, where
    it has golden texts.

    Args:
        bundle: A healthy bundle.
        target: A target that is set up. A fault of another target is tried there, if that is set up already.
        gates: The limits of the real verification.
    """
    gates = gates or Gates()
    with scratch_folder("fault") as folder:
        reduced = _reduced(bundle, folder)
        rungs = ladder_of(bundle.manifest)
        faults = [fault for fault in FAULTS if fault.rung in rungs]
        return [try_fault(fault, _holder(fault, bundle, reduced), target, gates) for fault in faults]


def _reduced(bundle: Bundle, folder: Path) -> Bundle | None:
    """Return the bundle with only an int8 ONNX file, if it ships none and one can be made."""
    whole = bundle.model("onnx")
    if whole is None or bundle.model("onnx", "int8") is not None:
        return None
    try:
        return with_int8(bundle, whole, folder / "int8")
    except InputError:
        return None


def _holder(fault: Fault, bundle: Bundle, reduced: Bundle | None) -> Bundle:
    """Return the bundle with the file that a fault is tried on."""
    return reduced if fault.entry(bundle) is None and reduced is not None and fault.entry(reduced) else bundle


def healthy(bundle: Bundle, target: Target, gates: Gates | None = None, *, again: bool = False) -> str:
    """Describe the problems of the unchanged bundle; empty if every model that the target runs passes.

    Args:
        bundle: The bundle.
        target: A target that is set up.
        gates: Limits.
        again: True to run also jobs whose answers are kept from an earlier verification.
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


def exit_code(outcomes: Sequence[Outcome], problem: str) -> int:
    """Return 0 if all is well, 1 if a fault was missed or the bundle itself fails, 3 if one was not tried or shown."""
    answers = {outcome.answer for outcome in outcomes}
    if problem or "missed" in answers:
        return GATE_FAILED
    return NOT_VERIFIED if answers & {"not tried", "not shown"} else PASSED


def table(outcomes: Sequence[Outcome]) -> str:
    """Return a table for people: fault, expected rung, failed rungs."""
    lines = [("fault", "has to fail", "failed", ""), *(_line(outcome) for outcome in outcomes)]
    widths = [max(len(line[column]) for line in lines) for column in range(4)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def _line(outcome: Outcome) -> tuple[str, str, str, str]:
    text = f"{outcome.answer}: {outcome.reason}" if outcome.answer in ("not tried", "not shown") else outcome.answer
    return outcome.fault, outcome.expected, ", ".join(outcome.failed) or "-", text


def try_fault(fault: Fault, bundle: Bundle, target: Target, gates: Gates) -> Outcome:
    """Break a copy of a bundle with one fault, and verify it; see :func:`try_faults`."""
    entry, expected = fault.entry(bundle), " or ".join(fault.expected)
    if entry is None:
        reason = f"the bundle holds no {fault.format} {fault.precision} file"
        return Outcome(fault.name, expected, "not tried", reason=reason)
    if fault.rung == "preprocessing" and not bundle.originals:
        return Outcome(fault.name, expected, "not tried", reason="the bundle holds no original image files")
    try:
        machine = _machine(fault, target)
        change = fault.make(bundle, entry, machine)
        with scratch_folder("fault") as folder:
            broken = read_bundle(copy_changed(bundle, entry, folder / "bundle", change))
            (model,) = broken.manifest.models
            findings = check_model(broken, model, Job(broken, model, machine).run(), fault.gates(gates, entry))
    except InputError as error:
        return Outcome(fault.name, expected, "not tried", reason=str(error))
    if machine is not target:
        machine.close()
    expected_findings = [finding for finding in findings if finding.rung in fault.expected]
    worst = min(expected_findings, key=lambda finding: ("fail", "not verified", "n/a", "pass").index(finding.status))
    failed = [finding.rung for finding in findings if finding.status == "fail"]
    if fault.answer == worst.status == "not verified":
        failed.append(f"{fault.rung} not verified")
    answers: dict[Status, Answer] = {"pass": "missed", "fail": "missed", "not verified": "not shown"}
    answer = "caught" if worst.status == fault.answer else answers[worst.status]
    return Outcome(fault.name, expected, answer, tuple(failed), worst.reason)


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
