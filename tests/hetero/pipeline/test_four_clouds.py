"""One cloud model as code, as an ONNX file, as a .pt2 file and as its vectors: one student, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import hetero
from hetero import own_code
from hetero.cli.main import main
from hetero.data.embeddings.file import load_embeddings
from hetero.errors import InputError
from hetero.models.external.embedders import unit_vectors
from hetero.pipeline.draft import draft
from hetero.pipeline.external_cloud import external_cloud
from hetero.pipeline.quick.cloud_table import Takes, cloud_table
from tests.hetero.data.pictures import write_flat
from tests.hetero.pipeline.clouds import SIDE, brightest, write_brightest_onnx

TAKES: dict[str, Any] = {"height": SIDE, "width": SIDE, "resize": "crop", "cut_from": SIDE + 4}
TINY: dict[str, Any] = {"stem_channels": 8, "stages": [{"channels": 8, "stride": 2}]}
STEPS = {"steps": 6, "batch": 8, "validate_every": 3}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("four")
    write_flat(folder / "photos", 24, size=(40, 36))
    write_brightest_onnx(folder / "cloud.onnx")
    images = {"input": torch.zeros(2, 3, SIDE, SIDE)}
    program = torch.export.export(brightest(), tuple(images.values()), dynamic_shapes=[{0: torch.export.Dim("b")}])
    torch.export.save(program, folder / "cloud.pt2")
    return folder


def learn_from(recipe: hetero.Recipe, out: Path) -> None:
    """What a run does up to its student."""
    (out / "cloud").mkdir(parents=True)
    photos = hetero.prepare(recipe.data, recipe.preprocessing)
    external_cloud(recipe, photos, out / "cloud")
    reference = hetero.CloudReference.from_directory(out / "cloud", photos)
    hetero.train_student(photos, reference, recipe.students[0], recipe.preprocessing, out / "edge")


def test_all_four_give_one_student(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(own_code.VARIABLE, "1")
    clouds: dict[str, dict[str, Any]] = {
        "code": {"module": "tests.hetero.pipeline.clouds:brightest", "preprocessing": TAKES},
        "onnx": {"onnx": "cloud.onnx", "preprocessing": TAKES},
        "program": {"program": "cloud.pt2", "preprocessing": TAKES},
        "vectors": {"embeddings": str(tmp_path / "code" / "cloud" / "embeddings.safetensors")},
    }
    for name, cloud in clouds.items():
        recipe = {
            "name": name,
            "data": {"kind": "folder", "path": "photos"},
            "preprocessing": {"height": 16, "width": 16},
            "cloud": cloud,
            "students": [{"name": "edge", "model": TINY, "max_macs": 1_000_000, "training": STEPS}],
        }
        learn_from(draft(recipe, what=f"{name}.toml", folder=place).require_sound(), tmp_path / name)

    stored = {name: load_embeddings(tmp_path / name / "cloud" / "embeddings.safetensors") for name in clouds}
    students = {name: load_file(tmp_path / name / "edge" / "model.safetensors") for name in clouds}
    for name in clouds:
        assert stored[name].names == stored["code"].names
        assert stored[name].embeddings.tobytes() == stored["code"].embeddings.tobytes(), name
        assert students[name].keys() == students["code"].keys()
        assert all(torch.equal(value, students["code"][key]) for key, value in students[name].items()), name
    assert len({row.tobytes() for row in stored["code"].embeddings}) > 20, "pictures are told apart"
    # Code and program are told apart by their weights and their file: nothing shows that they compute the same.
    assert stored["vectors"].space == stored["code"].space
    assert len({each.space.space_id for each in stored.values()}) == 3


def test_the_vectors_are_the_brightest_pixels(place: Path) -> None:
    takes = hetero.Preprocessing(**TAKES)
    photos = hetero.prepare(hetero.DataConfig(kind="folder", path=str(place / "photos")), takes)
    images = photos.train.images[:]
    scaled = (images.astype(np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.5)
    places = scaled.reshape(-1, 4, SIDE // 4, 4, SIDE // 4, 3).max(axis=(2, 4))
    expected = places.transpose(0, 3, 1, 2).reshape(len(images), -1)
    embedder = hetero.OnnxEmbedder(place / "cloud.onnx", takes)
    unit = unit_vectors(expected, np.arange(len(images)), expected.shape[1])
    assert hetero.embed_all(embedder, images).tobytes() == unit.tobytes()


def test_a_program_is_a_cloud_once_code_is_allowed(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(place / "cloud.pt2")
    table = cloud_table(path, Takes(size=SIDE))
    assert table == {"program": path, "preprocessing": {"height": SIDE, "width": SIDE}}
    with pytest.raises(InputError, match="--cloud-size: expected the size"):
        cloud_table(path, Takes())
    monkeypatch.delenv(own_code.VARIABLE, raising=False)
    with pytest.raises(SystemExit):
        main(["student", path, str(place / "photos"), "--cloud-size", str(SIDE), "--out", str(tmp_path / "run")])
    said = capsys.readouterr().err
    assert "cloud.program: " in said and "give --allow-code" in said and not (tmp_path / "run").exists()
