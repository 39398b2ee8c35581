"""An application's contract: taken from a bundle, told in full, and read back."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from export.app.contract import AppContract, contract_of, least_cosine
from export.bundle.reading import read_bundle
from hetero.errors import IntegrityError
from tests.export.bundles import PREPROCESSING, SPACE, write_bundle


def test_a_contract_says_what_the_bundle_says_and_survives_json(tmp_path: Path) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "bundle"))
    model = bundle.model("onnx")
    assert model is not None
    contract = contract_of(bundle, model)
    assert (contract.model, contract.sha256, contract.size) == ("model.onnx", model.sha256, model.size)
    assert (contract.space, contract.preprocessing) == (SPACE, PREPROCESSING)
    assert [entry.image for entry in contract.self_test] == [f"selftest/{row}.png" for row in range(3)]
    assert AppContract.from_dict(json.loads(json.dumps(contract.to_dict()))) == contract


def test_android_takes_the_runtime_that_checked_the_file(tmp_path: Path) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "bundle"))
    contract = contract_of(bundle, bundle.manifest.models[0])
    checked = dataclasses.replace(contract, format="onnx", versions={"onnxruntime": "1.32.0", "onnx": "1.23.2"})
    assert checked.android_runtime == "com.microsoft.onnxruntime:onnxruntime-android:1.32.0"
    assert dataclasses.replace(checked, versions={}).android_runtime.endswith(":+")


@pytest.mark.parametrize("version", ['1.0"); throw Exception("', "1.0\nx", "1 0", ""])
def test_a_version_that_is_none_gets_into_no_build_script(tmp_path: Path, version: str) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "bundle"))
    contract = dataclasses.replace(contract_of(bundle, bundle.manifest.models[0]), format="onnx")
    with pytest.raises(IntegrityError, match="onnxruntime: expected a version"):
        _ = dataclasses.replace(contract, versions={"onnxruntime": version}).android_runtime


def test_an_unknown_key_is_refused(tmp_path: Path) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "bundle"))
    value = contract_of(bundle, bundle.manifest.models[0]).to_dict() | {"colour": "bgr"}
    with pytest.raises(IntegrityError, match="colour"):
        AppContract.from_dict(value)


@pytest.mark.parametrize(
    ("format", "precision", "measured", "least"),
    [
        ("onnx", "int8", 0.98, 0.96),  # twice the drift of the exporting machine
        ("onnx", "fp32", 1.0, 0.9999),  # a decoder's grey level is allowed
        ("coreml", "fp16", None, 0.999),  # nothing measured: the format's own limit
    ],
)
def test_a_device_may_drift_twice_as_far_as_the_exporting_machine(
    tmp_path: Path, format: str, precision: str, measured: float | None, least: float
) -> None:
    model = read_bundle(write_bundle(tmp_path / "bundle")).manifest.models[0]
    changed = dataclasses.replace(model, format=format, precision=precision, min_cosine=measured)
    assert least_cosine(changed) == pytest.approx(least)
