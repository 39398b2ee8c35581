"""Query models of several generations against galleries of several generations."""

import json

import numpy as np
import pytest
from PIL import Image

from hetero.cli.main import main
from hetero.data.config import DataConfig
from hetero.data.embeddings.file import save_embeddings
from hetero.errors import InputError
from hetero.evaluation.matrix import CompatibilityMatrix
from hetero.space import EmbeddingSpace
from hetero.training.cloud import train_cloud
from hetero.upgrade.fleet.measure import measure_fleet
from tests.hetero.upgrade.tiny import SHAPE, cloud, dataset


def space(name: str, dimension: int) -> EmbeddingSpace:
    return EmbeddingSpace.define(defined_by=name, name=name, version="1", dimension=dimension)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Photos, a trained model, and files of embeddings of two later generations and a student of the last."""
    folder = tmp_path_factory.mktemp("fleet")
    names: list[str] = []
    generator = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        for label in "abcd":
            (folder / "photos" / split / label).mkdir(parents=True)
            for index in range(2):
                name = f"{split}/{label}/{index}.png"
                Image.fromarray(generator.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(folder / "photos" / name)
                names.append(name)
    train_cloud(dataset(), cloud(4), SHAPE, folder / "v1")
    labels = np.array(["abcd".index(name.split("/")[1]) for name in names])
    for name, of, dimension in (("v2", "v2", 4), ("v3", "v3", 6), ("edge", "v3", 6)):
        vectors = np.eye(4, dimension, dtype=np.float32)[labels]
        if name == "v3":
            vectors = np.concatenate([vectors[:, :4] * 0.8, np.full((len(vectors), 2), 0.18**0.5)], axis=1)
        save_embeddings(folder / f"{name}.safetensors", vectors.astype(np.float32), names, space(of, dimension))
    return folder


def members(place):
    return {
        "v1": place / "v1",
        "v2": place / "v2.safetensors",
        "v3": place / "v3.safetensors",
        "edge": place / "edge.safetensors",
    }


def test_generations_are_spaces_and_longer_vectors_are_truncated(place):
    config = DataConfig(kind="folder", path=str(place / "photos"))
    fleet = measure_fleet(config, members(place), cache=place / "cache")
    assert fleet.generations == ("v1", "v2", "v3")
    assert fleet.spaces["edge"] == fleet.spaces["v3"] != fleet.spaces["v2"]
    assert fleet.matrix.value("cmc@1", "v3", "v2") == fleet.matrix.value("cmc@1", "v2", "v2") == 1.0
    value = fleet.matrix.value
    better = [value("cmc@1", i, j) > value("cmc@1", j, j) for i, j in (("v2", "v1"), ("v3", "v1"), ("v3", "v2"))]
    assert fleet.ac["cmc@1"] == np.mean(better)
    fleet.save(place / "out")
    assert CompatibilityMatrix.load(place / "out" / "matrix.json") == fleet.matrix
    assert json.loads((place / "out" / "fleet.json").read_text())["generations"] == ["v1", "v2", "v3"]
    assert (place / "out" / "matrix.svg").read_bytes().startswith(b"<?xml")


def test_every_missing_member_is_told_at_once(place):
    config = DataConfig(kind="folder", path=str(place / "photos"))
    with pytest.raises(InputError) as caught:
        measure_fleet(config, {"a": place / "none", "b": place / "photos"}, cache=place / "cache")
    assert "a: expected a model directory or a file" in str(caught.value) and "b: expected" in str(caught.value)
    with pytest.raises(InputError, match="at least two models, got 1"):
        measure_fleet(config, {"v1": place / "v1"}, cache=place / "cache")


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["fleet", *map(str, arguments)])
    return int(ended.value.code)


def test_the_command_prints_the_matrix(place, monkeypatch, capsys):
    monkeypatch.setenv("HETERO_CACHE", str(place / "cache"))
    given = (f"old={place / 'v1'}", place / "v2.safetensors")
    assert run(*given, "--data", place / "photos", "--out", place / "printed") == 0
    printed = capsys.readouterr().out
    assert "AC of old -> v2" in printed and "cmc@1, query model by gallery model" in printed
    assert run(*given) == 2
    assert "either --data PATH or --emoji" in capsys.readouterr().err
    assert run(place / "v1", place / "v1", "--data", place / "photos") == 2
    assert "several models are called v1" in capsys.readouterr().err
