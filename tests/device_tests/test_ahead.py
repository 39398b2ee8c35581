"""What emulated targets answer ahead of a verification is not asked again, and what they cannot is left to it."""

from __future__ import annotations

from pathlib import Path

import pytest

import device_tests.ladder.ahead
from device_tests.ladder import verify as verification
from device_tests.ladder.ahead import ask_ahead, set_up_ahead
from device_tests.targets.desktop import Desktop
from device_tests.targets.registry import emulated
from hetero.errors import InputError
from tests.device_tests.test_sample import Slow
from tests.device_tests.tiny_bundle import write_bundle


class Absent(Slow):
    """An emulated target that cannot be had here."""

    name = "absent"

    def set_up(self) -> None:
        raise InputError("it cannot be downloaded")


TARGETS = {"slow": Slow, "desktop": Desktop, "absent": Absent}


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (device_tests.ladder.ahead, verification):
        monkeypatch.setattr(module, "target_called", lambda name: TARGETS[name]())
    monkeypatch.setattr(device_tests.ladder.ahead, "emulated", lambda names: [n for n in names if TARGETS[n].emulated])


def test_only_emulated_targets_are_asked_and_the_verification_finds_their_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx",))
    names = ["desktop", "slow", "absent"]
    assert set_up_ahead(names) == {"slow": "ready", "absent": "it cannot be downloaded"}
    answers = ask_ahead(bundle, names, queries=12)
    assert answers == {"absent": "it cannot be downloaded", "slow onnx fp32": "answered"}
    run, asked = Desktop.run, list[str]()
    monkeypatch.setattr(Desktop, "run", lambda self, *rest: asked.append(self.name) or run(self, *rest))
    verdict = verification.verify([bundle], names, tmp_path / "out", queries=12)
    assert "desktop" in asked and "slow" not in asked
    found = {(row.target, row.status) for row in verdict.rows}
    assert found == {("desktop", "pass"), ("slow", "pass"), ("absent", "not verified")}


def test_the_registry_knows_which_targets_are_emulated() -> None:
    assert emulated(["desktop", "phone-arm64", "phone-arm64", "phone-arm64:max", "nothing", "browser"]) == [
        "phone-arm64",
        "phone-arm64:max",
    ]
