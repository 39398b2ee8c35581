"""``hetero space check`` on files, runs and models."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import hetero
from hetero.cli.main import main
from hetero.models.config import ModelConfig, Stage
from hetero.models.directory import save_model
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace
from hetero.training.outcome import own_space
from tests.hetero.geometry.clouds import isotropic, low_dimensional


def check(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(["space", "check", *arguments])
    return caught.value.code


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    for label in ("a", "b"):
        for index in range(8):
            path = tmp_path / "photos" / label / f"{index}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def saved(path: Path, vectors: np.ndarray, names: list[str]) -> Path:
    space = EmbeddingSpace.define(defined_by="c", name="cloud", version="1", dimension=vectors.shape[1])
    hetero.save_embeddings(path, vectors, names, space)
    return path


def test_a_page_says_what_the_cloud_is_like_and_what_follows(tmp_path, capsys):
    path = saved(tmp_path / "cloud.safetensors", low_dimensional(), [f"{row}.jpg" for row in range(400)])
    assert check(str(path)) == 0
    page = capsys.readouterr().out
    assert "400 of 32 dimensions" in page
    assert "not centred (the mean has length 0." in page and "relative ones are multiplied by 0." in page
    assert 'principal = "auto" takes 8' in page
    assert "classes" not in page


def test_a_full_and_centred_space_asks_for_nothing(tmp_path, capsys):
    np.save(tmp_path / "plain.npy", isotropic())
    assert check(str(tmp_path / "plain.npy")) == 0
    page = capsys.readouterr().out
    assert "a last layer that is learnt in all dimensions suits it" in page
    assert page.count("\n- ") == 1


def test_what_cannot_be_used_is_counted(tmp_path, capsys):
    vectors = 3 * low_dimensional(count=40)
    vectors[1], vectors[2, 5], vectors[4] = 0, np.inf, vectors[3]
    np.save(tmp_path / "raw.npy", vectors)
    assert check(str(tmp_path / "raw.npy"), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["count"], found["zero"], found["not_finite"], found["duplicates"]) == (40, 1, 1, 1)
    assert found["lengths"]["median"] == pytest.approx(3, rel=1e-5)
    words = [line.split(" ", 1)[1] for line in found["advice"]]
    assert any(line.startswith("vectors are not finite") for line in words)
    assert any("not of length one (3 to 3)" in line for line in found["advice"])


def test_classes_come_from_the_data_and_copies_are_left_out(tmp_path, photos, capsys):
    names = [f"{label}/{index}.png" for label in ("a", "b") for index in range(8)]
    vectors = np.concatenate([np.tile(np.eye(2, 6, dtype=np.float32), 1)[[0] * 8 + [1] * 8]] * 2)
    vectors += 0.1 * isotropic(count=32, dimension=6)
    run = tmp_path / "run" / "cloud"
    run.mkdir(parents=True)
    saved(run / "embeddings.safetensors", vectors, [*names, *(f"{name}#1" for name in names)])
    assert check(str(tmp_path / "run"), "--data", str(photos), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["count"], found["copies"]) == (16, 16)
    assert (found["classes"]["classes"], found["classes"]["cmc_at_1"]) == (2, 1)
    assert check(str(tmp_path / "run")) == 0
    assert "(16 vectors of changed copies left out)" in capsys.readouterr().out


def test_a_model_embeds_the_data(tmp_path, photos, capsys, monkeypatch):
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    config = ModelConfig(dimension=8, stem_channels=8, stages=(Stage(channels=8, stride=2),))
    model = EmbeddingModel("tiny", config, Preprocessing(16, 16))
    model.space = own_space(model)
    save_model(tmp_path / "model", model, {})
    assert check(str(tmp_path / "model"), "--data", str(photos), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["name"], found["count"], found["dimension"], found["classes"]["classes"]) == ("tiny", 16, 8, 2)
    assert check(str(tmp_path / "model")) == 2
    assert "give them as --data PATH" in capsys.readouterr().err


def test_what_is_missing_is_named(tmp_path, photos, capsys):
    assert check(str(tmp_path / "none")) == 2
    assert "found nothing" in capsys.readouterr().err
    assert check(str(photos)) == 2
    assert "expected a file of embeddings, a run's directory or a model directory, got" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert check(str(tmp_path / "empty")) == 2
    assert "found a folder without any of them" in capsys.readouterr().err
    path = saved(tmp_path / "other.safetensors", isotropic(count=3), ["x.jpg", "y.jpg", "z.jpg"])
    assert check(str(path), "--data", str(photos)) == 2
    assert "no image of" in capsys.readouterr().err
    np.save(tmp_path / "nameless.npy", isotropic(count=3))
    assert check(str(tmp_path / "nameless.npy"), "--data", str(photos)) == 2
    assert "put them into nameless.txt" in capsys.readouterr().err
