"""Every snippet of docs/export.md runs, on a model that was never trained."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch

import hetero
from export.precision.recommendation import RULE
from hetero.models.directory import save_model
from hetero.pipeline.recipe import ExportConfig
from tests.snippets import ROOT, lay_out, run_page


def save_untrained(directory: Path, space: hetero.EmbeddingSpace) -> None:
    torch.manual_seed(0)
    config = hetero.ModelConfig(dimension=space.dimension, stages=(hetero.Stage(channels=8, stride=2),))
    model = hetero.EmbeddingModel("edge", config, hetero.Preprocessing(height=64, width=64))
    with torch.no_grad():
        # Batch statistics of some images, so that vectors differ.
        model.train()(torch.randint(0, 256, (16, 64, 64, 3), dtype=torch.uint8))
    model.space = space
    save_model(directory, model.eval(), {})


@pytest.mark.slow
def test_every_snippet_runs(tmp_path, monkeypatch):
    place = lay_out(tmp_path)
    monkeypatch.chdir(place)
    monkeypatch.setenv("HETERO_CACHE", str(place / "cache"))
    save_untrained(place / "models" / "edge", hetero.load_embeddings(place / "cloud_embeddings.safetensors").space)
    names = run_page(ROOT / "docs" / "export.md", place)
    assert names["larger"].preprocessing.shrink == 2
    assert set(tomllib.loads((place / "recipe.toml").read_text())["export"]) <= set(ExportConfig.__dataclass_fields__)
    for made in ("edge/model.int8.tflite", "edge/model.fp16.mlpackage", "signed/manifest.sig", "mine/model.fp32.onnx"):
        assert (place / "bundles" / made).exists()
    assert (place / "error.svg").is_file()
    assert sorted(folder.name for folder in (place / "app").iterdir()) == ["android", "hetero-app.json", "web"]
    assert not (place / "handed" / "goldens.safetensors").exists()


def test_the_page_gives_the_rule_of_the_recommendation():
    page = " ".join((ROOT / "docs" / "export.md").read_text().replace("\n> ", " ").split())
    assert f"{RULE[0].upper()}{RULE[1:]}." in page
