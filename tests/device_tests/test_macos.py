"""The Mac's target, as far as it can be had without one."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from device_tests.ladder.verify import verify
from device_tests.targets.macos import UNITS, MacOs
from device_tests.targets.registry import target
from hetero.errors import InputError
from tests.device_tests.tiny_bundle import write_bundle


@pytest.mark.skipif(sys.platform == "darwin", reason="this is a Mac")
def test_elsewhere_it_is_not_verified(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "bundle", formats=("onnx", "coreml"))
    verdict = verify([bundle], ["macos", "macos:ane"], tmp_path / "out")
    assert verdict.exit_code == 3
    assert {row.status for row in verdict.rows if row.format == "coreml"} == {"not verified"}
    assert all("macOS only" in row.reason for row in verdict.rows if row.format == "coreml")
    # There is no runtime for it on the target, whether the target can be had or not.
    assert {row.status for row in verdict.rows if row.format == "onnx"} == {"n/a"}


def test_names_of_compute_units_are_coremltools() -> None:
    if importlib.util.find_spec("coremltools") is None:
        pytest.skip("coremltools is not installed")
    from coremltools import ComputeUnit

    assert {ComputeUnit[name].name for name in UNITS.values()} == set(UNITS.values())
    assert [target(f"macos:{unit}").name for unit in ("cpu", "gpu", "ane")] == ["macos:cpu", "macos:gpu", "macos:ane"]
    with pytest.raises(InputError, match="no compute unit 'tpu'"):
        MacOs("tpu")
