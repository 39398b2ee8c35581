"""Which file to ship, on the report's page."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from device_tests.report.shipping import Shelf, shelves
from device_tests.report.table import Line
from export.bundle.manifest import RecommendationEntry
from export.bundle.reading import Bundle, read_bundle
from hetero.metrics.bootstrap import Interval
from tests.device_tests.tiny_bundle import write_bundle

NOTHING = Interval(0.0, 0.0, 0.0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    read = read_bundle(write_bundle(tmp_path_factory.mktemp("run") / "a bundle"))
    models = [
        dataclasses.replace(model, calibration_loss=0.0, calibration_interval=NOTHING, size=size)
        for model, size in zip(read.manifest.models, (400, 100, 200), strict=True)
    ]
    (onnx, litert, coreml) = models
    unmeasured = dataclasses.replace(coreml, calibration_loss=None, calibration_interval=None)
    half = dataclasses.replace(litert, precision="fp16", file="model.fp16.tflite", size=50)
    manifest = dataclasses.replace(read.manifest, models=(onnx, litert, half, unmeasured))
    return dataclasses.replace(read, manifest=manifest)


def line(format: str, precision: str, **statuses: str) -> Line:
    rungs = {rung: {"rung": rung, "status": status.replace("_", " ")} for rung, status in statuses.items()}
    return Line("tiny", "desktop", format, precision, rungs)


def shelf(bundle: Bundle, *lines: Line, folder: Path | None = None) -> Shelf:
    (one,) = shelves({"tiny": bundle}, lines, folder or bundle.path.parent)
    return one


def test_each_format_has_its_own_and_only_what_passed_everything_counts(bundle: Bundle) -> None:
    passed = line("onnx", "fp32", loads="pass", cost="pass"), line("litert", "fp32", loads="pass", cost="n/a")
    failed = line("litert", "fp16", loads="pass", cost="fail")
    found = shelf(bundle, *passed, failed, line("coreml", "fp32", loads="not_verified"))
    files = {file.model.file: file for _, files in found.formats for file in files}
    assert [title for title, _ in found.formats] == ["ONNX", "LiteRT", "Core ML"]
    assert [name for name, file in files.items() if file.recommended] == ["model.fp32.onnx", "model.fp32.tflite"]
    assert [file.status for file in files.values()] == ["pass", "pass", "fail", "not verified"]
    assert [file.share for file in files.values()] == [1.0, 0.25, 0.125, 0.5]
    assert found.reasons[1].startswith("LiteRT: model.fp32.tflite, 100 bytes")
    assert found.reasons[2] == "Core ML: no file meets the rule and passed everything"


def test_what_the_manifest_says_holds_until_its_file_fails(bundle: Bundle) -> None:
    said = (RecommendationEntry("litert", "fp32", "model.fp32.tflite", "said at export"),)
    signed = dataclasses.replace(bundle, manifest=dataclasses.replace(bundle.manifest, recommended=said))
    passed, half = line("litert", "fp32", loads="pass"), line("litert", "fp16", loads="pass")
    assert shelf(signed, passed, half).reasons[1] == "LiteRT: model.fp32.tflite, said at export"
    failed = line("litert", "fp32", loads="fail")
    assert shelf(signed, failed, half).reasons[1].startswith("LiteRT: model.fp16.tflite, 50 bytes")


def test_a_file_that_nothing_ran_is_not_verified_and_one_that_nothing_can_run_does_not_apply(bundle: Bundle) -> None:
    found = shelf(bundle, line("litert", "fp32", loads="n/a"))
    files = [file for _, files in found.formats for file in files]
    assert [file.status for file in files] == ["not verified", "n/a", "not verified", "not verified"]
    assert not any(file.recommended for file in files)


def test_files_below_the_page_are_linked(bundle: Bundle, tmp_path: Path) -> None:
    links = [file.link for _, files in shelf(bundle).formats for file in files]
    # One of these files does not exist, and a Core ML package is a directory.
    assert links == ["a%20bundle/model.fp32.onnx", "a%20bundle/model.fp32.tflite", "", ""]
    assert not any(file.link for _, files in shelf(bundle, folder=tmp_path).formats for file in files)
