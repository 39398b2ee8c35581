"""Every fault is caught by the rung that has to catch it, and the healthy bundle passes every time."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from device_tests.checks.finding import RUNGS, TEXT, Finding, Status
from device_tests.faults import FAULTS, Outcome, trial, try_faults
from device_tests.faults.catalogue import Fault
from device_tests.faults.litert import with_scales_a_channel
from device_tests.faults.quantised import with_int8
from device_tests.faults.trial import exit_code, healthy, table
from device_tests.faults.variants import copy_changed
from device_tests.ladder.running import Job
from device_tests.targets.desktop import Desktop
from device_tests.targets.emulated.phone import EmulatedPhone
from device_tests.targets.emulated.systems import ARMV7
from export.bundle.manifest import RecommendationEntry
from export.bundle.reading import Bundle, read_bundle
from hetero.errors import InputError
from tests.device_tests.tiny_bundle import write_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return read_bundle(
        write_bundle(tmp_path_factory.mktemp("faults") / "bundle", formats=("onnx", "litert"), texts=True)
    )


def test_there_is_a_fault_for_every_rung() -> None:
    assert {fault.rung for fault in FAULTS} == {*RUNGS, TEXT}


def test_the_right_rung_fails_for_each(bundle: Bundle) -> None:
    outcomes = {outcome.fault: outcome for outcome in try_faults(bundle, Desktop())}
    assert set(outcomes) == {fault.name for fault in FAULTS}
    tried = [outcome for outcome in outcomes.values() if outcome.answer != "not tried"]
    assert {outcome.fault for outcome in tried} >= {
        fault.name for fault in FAULTS if (fault.format, fault.precision) == ("onnx", "fp32")
    } - {"pixels of 16 to 235"}
    # Of 48 queries, the darkest sixth is too little to show it.
    assert outcomes["dark images collapse"].answer == "not shown"
    tried.remove(outcomes["dark images collapse"])
    for outcome in tried:
        assert outcome.answer == "caught", outcome
    # Whatever is below the rung that catches a fault is in order; what cannot be blamed is not.
    assert outcomes["antialias off"].failed == ("preprocessing",)
    assert outcomes["swapped goldens"].failed == ("parity",)
    assert outcomes["file too large"].failed == ("cost",)
    assert "and at export" in outcomes["swapped texts"].reason
    assert outcomes["one golden image"].failed == ("parity not verified",)
    assert outcomes["gallery permuted"].failed == ("retrieval", "text")
    for name in ("swapped texts", "another text tower"):
        assert outcomes[name].failed == ("text",) and "do not fit the cloud's vectors" in outcomes[name].reason
    assert "among the device's photos is" in outcomes["student of another space"].reason
    # Tried on an int8 file made of the float32 file: the bundle ships none.
    int8 = {fault.name for fault in FAULTS if (fault.format, fault.precision) == ("onnx", "int8")}
    assert {name for name in int8 if outcomes[name].answer == "not tried"} == {"int8 not normalised"}
    # What would change nothing on these images is not said to be missed.
    assert "no normalisation to leave out" in outcomes["int8 not normalised"].reason
    assert "no golden image has a pixel below 16" in outcomes["pixels of 16 to 235"].reason
    assert "Unheard" in outcomes["unknown operator"].reason


@pytest.mark.parametrize(
    ("parity", "retrieval", "answer"),
    [
        ("pass", "fail", "caught"),
        ("fail", "pass", "caught"),
        ("not verified", "pass", "not shown"),
        ("pass", "pass", "missed"),
    ],
)
def test_one_of_two_rungs_is_enough(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, parity: Status, retrieval: Status, answer: str
) -> None:
    findings = [Finding("parity", parity), Finding("retrieval", retrieval)]
    monkeypatch.setattr(trial, "FAULTS", [Fault("a", "parity", "?", lambda *_: lambda _: None, or_rung="retrieval")])
    monkeypatch.setattr(trial, "check_model", lambda *_: findings)
    (outcome,) = try_faults(bundle, Desktop())
    assert (outcome.answer, outcome.expected) == (answer, "parity or retrieval")


def test_saturated_int8_fails_where_sound_int8_passes(bundle: Bundle, tmp_path: Path) -> None:
    entry = bundle.model("onnx")
    assert entry is not None
    quantised = with_int8(bundle, entry, tmp_path / "int8")
    assert healthy(quantised, Desktop()) == ""
    outcome = next(found for found in try_faults(quantised, Desktop()) if found.fault == "int8 saturated")
    assert outcome.answer == "caught", outcome


@pytest.mark.slow
def test_the_healthy_bundle_passes_every_time(bundle: Bundle) -> None:
    assert [healthy(bundle, Desktop(), again=True) for _ in range(5)] == [""] * 5


def test_a_sick_bundle_and_a_missed_fault_are_told(tmp_path: Path) -> None:
    sick = read_bundle(write_bundle(tmp_path / "bundle", formats=("onnx",), model_seed=7))
    assert "parity" in healthy(sick, Desktop())
    caught, missed = Outcome("a", "loads", "caught", ("loads",)), Outcome("b", "parity", "missed")
    untried = Outcome("c", "cost", "not tried", reason="no file")
    assert exit_code([caught], "") == 0
    assert exit_code([caught], "parity: off") == 1
    assert exit_code([caught, missed, untried], "") == 1
    assert exit_code([caught, untried], "") == 3
    assert exit_code([caught, Outcome("d", "retrieval", "not shown", reason="needs 99 queries")], "") == 3
    text = table([caught, missed, untried])
    assert "not tried: no file" in text and "missed" in text


@pytest.mark.slow
@pytest.mark.emulator
def test_the_old_runtime_misreads_what_todays_reads(bundle: Bundle, tmp_path: Path) -> None:
    """The same file: each image has an embedding of its own on the desktop, and one for all on the 32-bit phone."""
    entry = bundle.model("litert")
    assert entry is not None
    broken = read_bundle(copy_changed(bundle, entry, tmp_path / "broken", with_scales_a_channel(bundle, entry)))
    (model,) = broken.manifest.models
    different: list[int] = []
    for machine in (Desktop(), EmulatedPhone(ARMV7)):
        try:
            machine.set_up()
        except InputError as error:
            pytest.skip(str(error))
        returned = Job(broken, model, machine).run()
        machine.close()
        assert returned.embeddings is not None, returned.error
        different.append(len(np.unique(returned.embeddings.round(4), axis=0)))
    assert different[0] > 1
    assert different[1] == 1


def test_without_an_fp32_file_the_fault_is_not_tried(tmp_path: Path) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "bundle", formats=("onnx",)))
    entry = bundle.model("onnx")
    assert entry is not None
    with pytest.raises(InputError, match="no litert fp32 file"):
        with_scales_a_channel(bundle, entry)


def test_a_copy_recommends_no_file_that_it_lacks(bundle: Bundle, tmp_path: Path) -> None:
    entries = [RecommendationEntry(one.format, one.precision, one.file, "small") for one in bundle.manifest.models]
    recommending = dataclasses.replace(
        bundle, manifest=dataclasses.replace(bundle.manifest, recommended=tuple(entries))
    )
    entry = bundle.model("onnx")
    assert entry is not None and len(entries) == 2
    copy = read_bundle(copy_changed(recommending, entry, tmp_path / "copy", lambda _copy: None))
    assert [one.file for one in copy.manifest.recommended] == [entry.file]
