"""What a run's own text tower writes: learnt from training images alone, for every text."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import hetero
from hetero.data.embeddings.file import EmbeddingFile
from hetero.data.images import ImageSet
from hetero.errors import InputError
from hetero.text.fitted_texts import fitted_config, write_fitted_texts
from hetero.text.fitting import fit_tower
from tests.hetero.text.test_vectors import images

SPACE = hetero.EmbeddingSpace.define(defined_by="0" * 64, name="cloud", version="1", dimension=3)
TRAIN = images([0, 0, 1, 2], ("a cat", "a dog", "an owl"), "train")
TEST = images([0, 1], ("a cat owl", "a yak"), "test")
DATA = hetero.Dataset("toy", TRAIN, images([], (), "validation"), TEST, (), (), "toy")
FIT = hetero.TextConfig(fit=True)


def stored(dataset: hetero.Dataset, seed: int = 0) -> EmbeddingFile:
    names = [name for part in (dataset.train, dataset.test) for name in part.names]
    vectors = np.random.default_rng(seed).normal(size=(len(names), 3)).astype(np.float32)
    return EmbeddingFile(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), tuple(names), SPACE)


def test_the_names_of_classes_are_led_to_the_mean_of_their_images(tmp_path: Path) -> None:
    cloud = stored(DATA)
    write_fitted_texts(FIT, DATA, cloud, tmp_path)
    texts = hetero.TextVectors.load(fitted_config(FIT, tmp_path), SPACE)
    assert texts.texts == ("a cat", "a dog", "an owl", "a cat owl", "a yak")
    assert texts.tower.startswith("ridge of 3 texts, penalty ")
    trained = hetero.aligned(cloud, TRAIN)
    means = np.stack([trained[:2].mean(axis=0), trained[2], trained[3]])
    tower = fit_tower(texts.texts[:3], means)
    np.testing.assert_allclose(texts.vectors, tower.embed(texts.texts), atol=1e-6)
    # Images of the test set have no say.
    moved = dataclasses.replace(cloud, embeddings=np.concatenate([trained, -hetero.aligned(cloud, TEST)]))
    write_fitted_texts(FIT, DATA, moved, tmp_path / "moved")
    np.testing.assert_array_equal(
        hetero.load_embeddings(tmp_path / "moved" / "texts.safetensors").embeddings,
        hetero.load_embeddings(tmp_path / "texts.safetensors").embeddings,
    )


def test_a_table_or_titles_name_the_texts(tmp_path: Path) -> None:
    table = tmp_path / "captions.csv"
    table.write_text("text,path\nfirst,train/0.png\nsecond,train/2.png\nthird,test/1.png\n")
    config = hetero.TextConfig(describes=str(table), fit=True, prototypes=True)
    write_fitted_texts(config, DATA, stored(DATA), tmp_path / "captions")
    read = fitted_config(config, tmp_path / "captions")
    assert read.describes == str(table) and read.prototypes
    texts = hetero.TextVectors.load(read, SPACE)
    assert texts.of(TEST).texts == ("third",) and texts.tower.startswith("ridge of 2 texts")
    titles = {"a cat": "grinning face", "a dog": "sad face", "a yak": "animal"}
    write_fitted_texts(FIT, DATA, stored(DATA), tmp_path / "titles", titles=titles)
    texts = hetero.TextVectors.load(fitted_config(FIT, tmp_path / "titles"), SPACE)
    assert texts.classes == {"grinning face": "a cat", "sad face": "a dog", "animal": "a yak"}


def test_images_without_labels_have_no_names_to_fit_by(tmp_path: Path) -> None:
    bare: ImageSet = images([], (), "train")
    with pytest.raises(InputError, match="the images have no labels"):
        empty = dataclasses.replace(DATA, train=bare, test=images([], (), "test"))
        write_fitted_texts(FIT, empty, stored(DATA), tmp_path)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "vectors: expected a file of the texts' vectors, or fit = true"),
        ({"fit": True, "vectors": "texts.npy"}, "vectors: is of vectors that are there, and fit makes its own"),
        ({"fit": True, "tower": "ViT"}, "tower: is of vectors that are there, and fit makes its own"),
    ],
)
def test_vectors_are_there_or_fitted(settings: dict[str, object], told: str) -> None:
    with pytest.raises(InputError, match=told):
        hetero.TextConfig(**settings)  # type: ignore[arg-type]


def test_a_fitted_tower_is_a_runs() -> None:
    with pytest.raises(InputError, match="a text tower is fitted in the run of a recipe"):
        hetero.TextVectors.load(FIT, SPACE)
