"""The recommended file of each format, by figures given by hand."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from export.bundle.manifest import Manifest, ModelEntry, RecommendationEntry
from export.bundle.quantisation import Evidence, Int8Figures, Quantisation
from export.bundle.reading import read_bundle
from export.bundle_commands import inspect_command
from export.conversion.card import model_card
from export.kinds.interface import TensorEntry
from export.kinds.precision import Precision
from export.precision.recommendation import recommendations
from hetero.errors import IntegrityError
from hetero.metrics.bootstrap import Interval
from tests.export.bundles import write_bundle

BYTES = TensorEntry("embedding", "uint8", (1, 4), scale=1 / 128, zero_point=128)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return read_bundle(write_bundle(tmp_path / "bundle")).manifest


def entry(manifest: Manifest, precision: Precision, size: int, loss: float | None = None) -> ModelEntry:
    file = f"model.{precision}.tflite"
    return dataclasses.replace(
        manifest.models[0], file=file, format="litert", precision=precision, size=size, calibration_loss=loss
    )


def int8(manifest: Manifest, high: float, queries: int, size: int = 100) -> ModelEntry:
    figures = Int8Figures(loss=Interval(0.001, -0.002, high), overlap=0.9, angle=3.0, size=size)
    evidence = Evidence(
        queries=queries, classes=9, chosen=figures, plain=None, decided_by="not finite", overlap_gain=None
    )
    quantisation = Quantisation("minmax", "channel", False, (), tried=1, goal=0.01, met=True, evidence=evidence)
    return dataclasses.replace(entry(manifest, "int8", size, 0.001), quantisation=quantisation)


def chosen(manifest: Manifest, *models: ModelEntry) -> RecommendationEntry | None:
    return next(iter(recommendations(dataclasses.replace(manifest, models=models))), None)


def test_the_smallest_that_is_shown_to_meet_its_goal(manifest: Manifest) -> None:
    one = chosen(manifest, entry(manifest, "fp32", 400), entry(manifest, "fp16", 200, 0.0), int8(manifest, 0.008, 500))
    assert one is not None
    assert (one.precision, one.file) == ("int8", "model.int8.tflite")
    assert one.why == (
        "100 bytes, loses 0.10 % of map@r on 500 queries (95 %: at most 0.80%); "
        "fp32 takes 400 bytes; fp16 takes 200 bytes"
    )


@pytest.mark.parametrize(
    ("high", "queries", "why"),
    [
        (0.011, 500, "int8 is not shown to lose at most 1.00% of map@r: loses 0.10 % of map@r on 500 queries"),
        (0.008, 200, "int8 cannot be judged by 200 queries of 9 classes"),
    ],
)
def test_int8_that_may_lose_more_or_has_too_few_queries_is_not_taken(
    manifest: Manifest, high: float, queries: int, why: str
) -> None:
    one = chosen(manifest, entry(manifest, "fp32", 400), int8(manifest, high, queries))
    assert one is not None
    assert one.precision == "fp32"
    assert why in one.why


def test_figures_out_of_range_do_not_stop_it(manifest: Manifest) -> None:
    wild = int8(manifest, 0.0, 10**400)
    assert wild.quantisation is not None
    assert wild.quantisation.evidence is not None
    figures = dataclasses.replace(wild.quantisation.evidence.chosen, loss=Interval(0.0, -1e308, 0.0))
    evidence = dataclasses.replace(wild.quantisation.evidence, chosen=figures)
    quantisation = dataclasses.replace(wild.quantisation, goal=5e-324, evidence=evidence)
    one = chosen(manifest, entry(manifest, "fp32", 400), dataclasses.replace(wild, quantisation=quantisation))
    assert one is not None
    assert one.precision == "fp32"


def test_fp16_is_left_out_only_when_it_is_shown_to_lose_more(manifest: Manifest) -> None:
    half = entry(manifest, "fp16", 200, 0.002)
    for low, precision in ((0.001, "fp16"), (0.0011, "fp32")):
        wide = dataclasses.replace(half, calibration_interval=Interval(0.002, low, 0.003))
        one = chosen(manifest, entry(manifest, "fp32", 400), wide)
        assert one is not None
        assert one.precision == precision


def test_of_what_nobody_measured_float_files_only(manifest: Manifest) -> None:
    one = chosen(
        manifest, *(entry(manifest, kind, size) for kind, size in (("fp32", 4), ("fp16", 2), ("int8-weights", 1)))
    )
    assert one is not None
    assert one.precision == "fp16"
    assert "int8-weights was not measured" in one.why


def test_neither_byte_output_nor_a_float16_hazard_nor_too_large_a_loss(manifest: Manifest) -> None:
    gives_bytes = dataclasses.replace(int8(manifest, 0.008, 500, size=50), precision="int8-uint8io", output=BYTES)
    hazard = dataclasses.replace(entry(manifest, "fp16", 60, 0.0), warnings=("float16: Mul_3 reaches 1e6",))
    lossy = entry(manifest, "int8-weights", 70, 0.02)
    one = chosen(manifest, gives_bytes, hazard, lossy, entry(manifest, "fp32", 400, 0.0))
    assert one is not None
    assert one.precision == "fp32"
    assert chosen(manifest, gives_bytes, hazard) is None


def test_card_and_inspect_show_what_the_manifest_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = read_bundle(write_bundle(tmp_path / "bundle"))
    said = tuple(
        RecommendationEntry(one.format, one.precision, one.file, "it is small") for one in bundle.manifest.models
    )
    card = model_card(dataclasses.replace(bundle.manifest, recommended=said), bundle.space, bundle.preprocessing)
    assert "- ONNX: `model.fp32.onnx`. it is small." in card
    inspect_command(tmp_path / "bundle")
    assert "ship       model.fp32.onnx: 4 bytes, loss of map@r not measured" in capsys.readouterr().out


def test_a_recommended_file_must_be_a_model(manifest: Manifest) -> None:
    from export.bundle.checks import checked_manifest

    wrong = RecommendationEntry("onnx", "fp16", "README.md", "")
    with pytest.raises(IntegrityError, match="none of the models"):
        checked_manifest(dataclasses.replace(manifest, recommended=(wrong,)).to_dict(), what="a manifest")
