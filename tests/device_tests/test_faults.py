"""Every fault is caught by the rung that has to catch it, and the healthy bundle passes every time."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_tests.checks.finding import RUNGS
from device_tests.faults import FAULTS, Outcome, try_faults
from device_tests.faults.trial import exit_code, healthy, table
from device_tests.targets.desktop import Desktop
from export.bundle import Bundle, read_bundle
from tests.device_tests.tiny_bundle import write_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return read_bundle(write_bundle(tmp_path_factory.mktemp("faults") / "bundle", formats=("onnx", "litert")))


def test_there_is_a_fault_for_every_rung() -> None:
    assert {fault.rung for fault in FAULTS} == set(RUNGS)


def test_the_right_rung_fails_for_each(bundle: Bundle) -> None:
    outcomes = {outcome.fault: outcome for outcome in try_faults(bundle, Desktop())}
    assert set(outcomes) == {fault.name for fault in FAULTS}
    tried = [outcome for outcome in outcomes.values() if outcome.answer != "not tried"]
    assert {outcome.fault for outcome in tried} >= {
        fault.name for fault in FAULTS if (fault.format, fault.precision) == ("onnx", "fp32")
    }
    for outcome in tried:
        assert outcome.answer == "caught", outcome
    # Whatever is below the rung that catches a fault is in order; what cannot be blamed is not.
    assert outcomes["antialias off"].failed == ("preprocessing",)
    assert outcomes["swapped goldens"].failed == ("parity",)
    assert outcomes["file too large"].failed == ("cost",)
    assert "Unheard" in outcomes["unknown operator"].reason


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
    text = table([caught, missed, untried])
    assert "not tried: no file" in text and "missed" in text
