"""Nothing ships that was made from a float32 conversion which must not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import nn
from torch.nn import functional

from export import RetrievalSet, calibration_set, export_model, from_module
from export.bundle.reading import read_bundle
from export.conversion import worker as convert
from export.conversion.request import Request, Result
from export.errors import ExportError
from export.kinds.interface import Shape, tensors
from export.kinds.precision import Precision
from hetero.metrics.task import RetrievalTask
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace
from tests.export.bundles import units

DIMENSION = 8
VECTORS, TUNED = units(3, 0, DIMENSION), units(3, 1, DIMENSION)


@dataclass
class Recorded:
    """A converter whose files hold the vectors that they give: those of the program, turned where that is wrong."""

    format: str = "litert"
    wrong: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    calls: list[str] = field(default_factory=list)
    runs: bool = True

    @property
    def run(self) -> Any:
        return (lambda path, images: np.load(path)) if self.runs else None

    def prepare(self, program: str, job: Any) -> str:
        self.calls.append(f"prepare {program}")
        if program in self.broken:
            raise ValueError("no such operator")
        return program

    def write(self, prepared: str, precision: Precision, out: Path) -> None:
        self.calls.append(f"write {prepared} {precision}")
        vectors = TUNED if prepared == "tuned" else VECTORS
        if precision != "fp32":  # as a model tuned for int8 is near the model
            vectors = VECTORS
        if prepared in self.wrong:
            vectors = vectors + 0.7 * np.roll(vectors, 1, axis=0)
            vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        with out.open("wb") as stream:
            np.save(stream, vectors.astype(np.float32))
        self.last = precision

    def read_metadata(self, path: Path) -> dict[str, str]:
        return {}

    def read_signature(self, path: Path) -> Any:
        return tensors(self.last, Shape(4, 4, DIMENSION))


def converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, converter: Recorded, precisions: list[Any], *, tuned: bool = False
) -> dict[str, Result | str | None]:
    """What a converter's process says of each file."""
    monkeypatch.setattr(convert, "load_converter", lambda _: converter)
    monkeypatch.setattr("export.capture.program.load", lambda path: path.name)
    work = tmp_path / "work"
    work.mkdir()
    for name, vectors in (("goldens", VECTORS), ("tuned", TUNED)):
        images = np.zeros((3, 4, 4, 3), np.uint8)
        save_file({"golden_images": images, "golden_embeddings": vectors}, work / name)
    request = Request(
        program="model",
        int8_program="tuned" if tuned else "",
        format=converter.format,
        files={each: str(tmp_path / f"model.{each}.file") for each in precisions},
        goldens=str(work / "goldens"),
        work=str(work),
        metadata={},
        height=4,
        width=4,
        any_batch=False,
        goals=dict.fromkeys(precisions, 0.01),
        int8_goldens=str(work / "tuned"),
    )
    convert.convert_all(request)
    assert not [*work.glob("float32*")]
    return {each: request.outcome(each) for each in precisions}


def test_reduced_files_fall_with_the_float32_conversion_that_nobody_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converter = Recorded(wrong=("model",))
    reasons = converted(tmp_path, monkeypatch, converter, ["int8-weights", "int8-dynamic", "fp16"])
    for reason in reasons.values():
        assert str(reason).startswith("the float32 conversion that it is made from failed: model.fp32.tflite does not")
    assert converter.calls == ["prepare model", "write model fp32"]
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


def test_a_float32_file_that_was_asked_for_is_made_once_and_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converter = Recorded()
    outcomes = converted(tmp_path, monkeypatch, converter, ["fp16", "fp32"])
    assert converter.calls == ["prepare model", "write model fp32", "write model fp16"]
    assert all(isinstance(each, Result) and each.min_cosine > 1 - 1e-6 for each in outcomes.values())
    assert {path.name for path in tmp_path.iterdir()} == {"work", "model.fp32.file", "model.fp16.file"}


def test_the_float32_file_does_not_ship_when_nobody_asked_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = converted(tmp_path, monkeypatch, Recorded(), ["fp16"])
    assert isinstance(outcomes["fp16"], Result)
    assert {path.name for path in tmp_path.iterdir()} == {"work", "model.fp16.file"}


@pytest.mark.parametrize("runs", [True, False])
def test_a_conversion_that_breaks_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: bool) -> None:
    converter = Recorded(format="coreml", broken=("model",), runs=runs)
    outcomes = converted(tmp_path, monkeypatch, converter, ["palette8", "fp32", "fp16"])
    assert outcomes["fp32"] == "ValueError: no such operator"
    reason = "the float32 conversion that it is made from failed: ValueError: no such operator"
    assert outcomes["palette8"] == outcomes["fp16"] == reason
    assert converter.calls == ["prepare model"]


def test_a_tuned_graph_is_judged_by_the_tuned_model_and_falls_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    converter = Recorded(wrong=("tuned",))
    outcomes = converted(tmp_path, monkeypatch, converter, ["int8", "fp32", "int8-dynamic"], tuned=True)
    assert isinstance(outcomes["fp32"], Result)
    assert isinstance(outcomes["int8-dynamic"], Result)
    assert "float32 conversion that it is made from failed" in str(outcomes["int8"])
    assert "write tuned int8" not in converter.calls


def test_a_sound_tuned_graph_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converter = Recorded(wrong=("model",))
    outcomes = converted(tmp_path, monkeypatch, converter, ["fp32", "int8", "int8-uint8io", "fp16"], tuned=True)
    assert [name for name, each in outcomes.items() if isinstance(each, Result)] == ["int8", "int8-uint8io"]
    assert converter.calls.count("prepare tuned") == converter.calls.count("prepare model") == 1


class Nearest(nn.Module):
    """Enlarges by a factor that is not whole, where LiteRT picks other pixels than torch."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer = nn.Conv2d(3, 4, 3, stride=4, padding=1)
        self.weights = nn.Parameter(torch.randn(DIMENSION, 4, 23, 23) * 0.05)
        self.linear = nn.Linear(4, DIMENSION)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = self.layer(pixels)
        larger = functional.interpolate(features, size=(23, 23), mode="nearest")
        # The second part is right in any file: enough for what an int8 file must reach, far from enough for float32.
        return (larger[:, None] * self.weights).sum((2, 3, 4)) + 10 * self.linear(features.mean((2, 3)))


def run_here(requests: Sequence[Request], *, finished: Any) -> dict[tuple[str, str], Result | str | None]:
    """Convert in this process, where a converter can be made to go wrong."""
    outcomes: dict[tuple[str, str], Result | str | None] = {}
    for request in requests:
        convert.convert_all(request)
        outcomes |= {(request.format, precision): request.outcome(precision) for precision in request.files}
    return outcomes


@pytest.mark.slow
def test_a_wrong_graph_ships_in_no_precision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As if nobody knew that LiteRT picks other pixels: export writes the operator out otherwise.
    monkeypatch.setattr("export.formats.litert.convert.convertible", lambda program, format: program)
    monkeypatch.setattr("export.api.run_all", run_here)
    space = EmbeddingSpace.define(defined_by="0" * 64, name="cloud", version="1", dimension=DIMENSION)
    source, rows = from_module(Nearest(), Preprocessing(height=64, width=64), space, name="near"), np.arange(8)
    images = np.random.default_rng(0).integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
    labels, vectors, tasks = rows // 2, source.embed(images), (RetrievalTask("all", rows, rows, exclude_self=True),)
    retrieval = RetrievalSet(images[:8], labels, vectors[:8], tasks, tuple(map(str, rows)), space)
    calibration = calibration_set(images[8:], labels, vectors[8:], space)
    with pytest.raises(ExportError) as caught:
        export_model(
            source, retrieval, tmp_path / "out", formats=("litert",), precisions=("int8", "fp16"),
            calibration=calibration, goldens=4,
        )  # fmt: skip
    assert len(caught.value.problems) == 2
    assert all("model.fp32.tflite does not compute" in problem for problem in caught.value.problems)
    out = export_model(source, retrieval, tmp_path / "out", formats=("onnx",), precisions=("fp16",), goldens=4)
    assert [model.file for model in read_bundle(out).manifest.models] == ["model.fp16.onnx"]
    assert not [*out.glob("*fp32*")]
