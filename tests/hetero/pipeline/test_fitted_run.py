"""A run whose cloud has no text tower: one is fitted, and its texts search what the student embedded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import hetero
from hetero.errors import InputError
from hetero.pipeline.context import Context
from hetero.pipeline.draft import load_recipe
from hetero.pipeline.stages import stages_of
from tests.hetero.data.pictures import write_classes, write_flat

RECIPE = """
name = "named"
[data]
kind = "folder"
path = "photos"
[preprocessing]
height = 16
width = 16
[cloud]
embeddings = "vectors.safetensors"
[cloud.text]
fit = true
[[students]]
name = "edge"
model = { stem_channels = 8, stages = [{ channels = 8, stride = 2 }] }
training = { steps = 2 }
[verify]
targets = ["desktop"]
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HETERO_CACHE", str(tmp_path / "cache"))
    for start, split in ((0, "train"), (20, "validation"), (40, "test")):
        write_classes(tmp_path / "photos" / split, {"a cat": 3, "a dog": 3, "an owl": 3}, start)
    photos = hetero.prepare(
        hetero.DataConfig(kind="folder", path=str(tmp_path / "photos")), hetero.Preprocessing(height=16, width=16)
    )
    names = [name for part in (photos.train, photos.validation, photos.test) for name in part.names]
    space = hetero.EmbeddingSpace.define(defined_by="ab", name="own", version="1", dimension=4)
    vectors = np.random.default_rng(0).normal(size=(len(names), 4)).astype(np.float32)
    hetero.save_embeddings(tmp_path / "vectors.safetensors", vectors, names, space)
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path


def test_the_matrix_holds_the_text_queries_of_a_fitted_tower(place: Path) -> None:
    assert hetero.run(place / "recipe.toml", place / "run", until="evaluate", jobs=1) == 0
    stored = hetero.load_embeddings(place / "run" / "texts" / "texts.safetensors")
    assert stored.names == ("a cat", "a dog", "an owl")
    assert stored.space.text is not None and stored.space.text.tower.startswith("ridge of 3 texts")
    matrix = hetero.CompatibilityMatrix.load(place / "run" / "matrix.json")
    assert {(role.role, role.queries) for role in matrix.roles} == {
        ("gallery", 9),
        ("text to image", 3),
        ("image to text", 9),
    }


def test_only_those_who_read_the_texts_wait_for_them(place: Path) -> None:
    def waiting(recipe: Path) -> set[str]:
        stages = stages_of(Context(load_recipe(recipe), place / "run"))
        return {stage.directory for _, stage in stages if "texts" in stage.after}

    assert waiting(place / "recipe.toml") == {"evaluation", "bundles/edge"}
    learning = place / "learning.toml"
    learning.write_text(RECIPE.replace("[[students]]", '[[students]]\nobjectives = [{ name = "text_affinity" }]'))
    assert waiting(learning) == {"evaluation", "bundles/edge", "students/edge"}


def test_photos_without_labels_are_told_before_anything_runs(place: Path) -> None:
    write_flat(place / "flat", 12)
    recipe = place / "flat.toml"
    recipe.write_text(RECIPE.replace('"photos"', '"flat"'))
    with pytest.raises(InputError, match=r"cloud\.text\.fit: a text tower is fitted by the names of classes"):
        hetero.run(recipe, place / "flat-run", until="data", jobs=1)
