"""The model card and ``hetero bundle check`` say what a reduced file loses or gains in words."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from export.bundle.reading import read_bundle
from export.bundle_commands import check_command
from export.conversion.card import model_card
from tests.export.bundles import write_bundle

LOST = [(0.0214, "loses 2.14 %"), (-0.1438, "gains 14.38 %"), (0.0, "no change")]


@pytest.mark.parametrize(("loss", "told"), LOST)
def test_the_card_says_what_calibration_lost_or_gained(tmp_path: Path, loss: float, told: str) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "bundle"))
    models = tuple(dataclasses.replace(model, calibration_loss=loss) for model in bundle.manifest.models)
    card = model_card(dataclasses.replace(bundle.manifest, models=models), bundle.space, bundle.preprocessing)
    assert card.count(f"| {told} |") == len(models)
    assert "-14.38" not in card


@pytest.mark.parametrize(("loss", "told"), LOST)
def test_check_says_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], loss: float, told: str
) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "bundle"))
    models = tuple(dataclasses.replace(model, calibration_loss=loss) for model in bundle.manifest.models)
    changed = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, models=models))
    monkeypatch.setattr("export.bundle.reading.read_bundle", lambda _path: changed)
    check_command(tmp_path / "bundle")
    assert f", {told} of map@r in calibration" in capsys.readouterr().out
