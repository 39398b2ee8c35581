"""The model that `hetero export` is called with: a directory, or code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import export.api
from export.capture.called import About, source_called
from hetero import own_code
from hetero.cli.main import main
from hetero.errors import InputError
from hetero.files import write_json
from hetero.models.external.embedders import ModuleEmbedder
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace
from tests.export.bundles import DIMENSION, PREPROCESSING, SPACE, retrieval_set

HERE = "tests.export.test_called"
OTHER = EmbeddingSpace.define(defined_by="1" * 64, name="other", version="1", dimension=DIMENSION)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, DIMENSION))


def embedder() -> ModuleEmbedder:
    return ModuleEmbedder(network(), Preprocessing(height=9, width=9), takes="scaled")


@pytest.fixture
def about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> About:
    monkeypatch.setenv(own_code.VARIABLE, "1")
    write_json(tmp_path / "preprocess.json", PREPROCESSING.to_dict())
    return About(preprocessing=tmp_path / "preprocess.json")


def test_code_is_exported_in_the_space_of_what_it_is_verified_with(about: About, tmp_path: Path) -> None:
    source = source_called(f"{HERE}:network", about, SPACE)
    assert (source.name, source.preprocessing, source.space) == ("network", PREPROCESSING, SPACE)
    OTHER.save(tmp_path / "space.json")
    named = source_called(
        f"{HERE}:network", About(about.preprocessing, tmp_path / "space.json", "mine", "scaled"), SPACE
    )
    assert (named.name, named.space) == ("mine", OTHER)
    assert named.preprocessing.mean == (0.0, 0.0, 0.0), "nothing is taken off: it takes values in 0..1"


def test_an_embedder_says_itself_what_it_takes(about: About) -> None:
    source = source_called(f"{HERE}:embedder", About(), SPACE)
    assert (source.preprocessing.height, source.space) == (9, SPACE)
    with pytest.raises(InputError, match="says itself how its images are prepared"):
        source_called(f"{HERE}:embedder", about, SPACE)


def test_code_needs_permission_and_a_preprocessing(about: About, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="--preprocessing: expected a file"):
        source_called(f"{HERE}:network", About(), SPACE)
    monkeypatch.delenv(own_code.VARIABLE)
    with pytest.raises(InputError, match="would run here with all your rights"):
        source_called(f"{HERE}:network", about, SPACE)


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["export", *map(str, words)])
    return int(ended.value.code or 0), capsys.readouterr().err


def test_what_describes_code_does_not_go_with_a_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    retrieval_set().save(tmp_path / "set.safetensors")
    (tmp_path / "model").mkdir()
    (tmp_path / "model.onnx").write_bytes(b"\x08\x09")
    status, said = run(capsys, tmp_path / "model", tmp_path / "set.safetensors", tmp_path / "out", "--name", "a")
    assert status == 2 and "says itself what --preprocessing, --space, --name and --takes say" in said
    status, said = run(capsys, tmp_path / "model.onnx", tmp_path / "set.safetensors", tmp_path / "out")
    assert status == 2 and "it is an ONNX file, which `hetero student` takes as the cloud" in said


def test_goals_reach_the_export(
    about: About, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def noted(*_: Any, **options: Any) -> Path:
        asked.update(options)
        raise InputError("far enough")

    monkeypatch.setattr(export.api, "export_model", noted)
    retrieval_set().save(tmp_path / "set.safetensors")
    words = [f"{HERE}:network", tmp_path / "set.safetensors", tmp_path / "out", "--preprocessing", about.preprocessing]
    status, said = run(capsys, *words, "--precisions", "fp32", "int8", "--goals", "int8=0.02", "fp32=0")
    assert status == 2 and "far enough" in said and asked["goals"] == {"int8": 0.02, "fp32": 0.0}
    status, said = run(capsys, *words, "--goals", "int8=0.1", "fp32=2", "fp32", "x=0.1")
    assert status == 2
    for part in (
        "'int8=0.1': expected one of fp32",
        "'fp32=2': expected a share",
        "'fp32': expected a share",
        "'x=0.1'",
    ):
        assert part in said
