"""A flat folder of photos, without any label, from images to a matrix and to what a bundle carries."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetero.data.config import DataConfig
from hetero.data.embeddings.file import save_embeddings
from hetero.data.prepare import prepare
from hetero.errors import InputError
from hetero.files import read_json
from hetero.pipeline.commands.run import run_until
from hetero.pipeline.context import Context
from hetero.pipeline.draft import Draft, draft
from hetero.pipeline.export_sets import calibration_set, retrieval_set
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace
from tests.hetero.data.pictures import write_flat

SPACE = EmbeddingSpace.define(defined_by="ab", name="cloud", version="1", dimension=12)


def recipe(folder: Path, **student: Any) -> Draft:
    value = {
        "name": "flat",
        "data": {"kind": "folder", "path": "photos", "extra": ["more"]},
        "preprocessing": {"height": 16, "width": 16},
        "cloud": {"embeddings": "cloud.safetensors"},
        "students": [
            {
                "name": "edge",
                "model": {"stem_channels": 8, "stages": [{"channels": 8, "stride": 2}]},
                "training": {"steps": 5, "classes_per_batch": 4, "images_per_class": 1, "validate_every": 5},
                **student,
            }
        ],
    }
    return draft(value, what="flat.toml", folder=folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, and the vectors of a cloud model that sees four colours of an image and of its altered copy."""
    place = tmp_path_factory.mktemp("flat")
    photos, more = write_flat(place / "photos", 60), write_flat(place / "more", 7, 100)
    config = DataConfig(kind="folder", path=str(photos), extra=(str(more),))
    data = prepare(config, Preprocessing(16, 16), cache=place / "cache")
    sets = (data.train, data.validation, data.test)
    colours = [one.images[:].reshape(-1, 2, 8, 2, 8, 3).mean(axis=(2, 4)).reshape(-1, 12) for one in sets]
    names = [name for one in sets for name in one.names]
    save_embeddings(place / "cloud.safetensors", (np.concatenate(colours) - 120).astype(np.float32), names, SPACE)
    return place


LABEL_FREE = [{"name": "cloud_regression"}, {"name": "instance_contrastive"}]


def test_a_flat_folder_comes_to_a_matrix_and_a_bundles_images(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETERO_CACHE", str(folder / "cache"))
    asked = recipe(folder, objectives=LABEL_FREE)
    assert run_until(asked, folder / "run", None, "evaluate", True) == 0
    matrix = read_json(folder / "run" / "matrix.json")
    own = matrix["metrics"]["cmc@1"]["cloud"]["cloud"]
    assert own > 0.4, "an altered copy is found by what is left of its colours; chance is 1 in 18"
    assert [task["name"] for task in matrix["tasks"]] == ["altered>original"]
    described = read_json(folder / "run" / "data" / "data.json")["sets"]
    assert described["train"] == {"images": 45, "unlabelled": 45, "classes": 0}

    context = Context(asked.require_sound(), folder / "run")
    carried = retrieval_set(context)
    assert len(carried.images) == 36 and carried.tasks[0].name == "altered>original"
    np.testing.assert_array_equal(carried.labels[carried.tasks[0].query], carried.labels[carried.tasks[0].gallery])
    ranges = calibration_set(context, carried.images)
    assert len(ranges.images) == 8, "validation images and their copies; training images find nothing of their class"


def test_what_learns_from_labels_is_told_with_the_other_mistakes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETERO_CACHE", str(folder / "cache"))
    asked = recipe(folder, objectives=[*LABEL_FREE, {"name": "hvs_composite"}], max_macs=10)
    with pytest.raises(InputError) as caught:
        run_until(asked, folder / "refused", None, "students", True)
    problems = "\n".join(caught.value.problems)
    assert "students.0 (edge).objectives: hvs_composite learns from the labels of the 45 training images" in problems
    assert "use instance_contrastive, cloud_regression" in problems and "10" in problems
    assert len(caught.value.problems) == 2 and not (folder / "refused").exists()


def test_a_missing_folder_of_further_photos_is_told_with_the_others(folder: Path) -> None:
    value = {
        "name": "flat",
        "data": {"kind": "folder", "path": "gone", "extra": ["more", "lost"]},
        "preprocessing": {"height": 16, "width": 16},
        "cloud": {"embeddings": "nothing.npy"},
        "students": [{"name": "edge", "max_macs": -1}],
    }
    with pytest.raises(InputError) as caught:
        run_until(draft(value, what="flat.toml", folder=folder), folder / "refused", None, "students", True)
    problems = "\n".join(caught.value.problems)
    assert "data: path: expected an image folder" in problems and "data: extra.1: expected a folder" in problems
    assert "cloud.embeddings: expected a file" in problems and "max_macs" in problems


def test_vectors_of_altered_copies_are_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HETERO_CACHE", str(folder / "cache"))
    asked = recipe(folder, objectives=LABEL_FREE)
    names = sorted(path.name for path in (folder / "photos").iterdir())
    names += [f"more/{number:03}.png" for number in range(7)]
    save_embeddings(folder / "bare.safetensors", np.ones((len(names), 12), np.float32), names, SPACE)
    bare = dataclasses.replace(asked.recipe.cloud, embeddings=str(folder / "bare.safetensors"))
    without = dataclasses.replace(asked, recipe=dataclasses.replace(asked.recipe, cloud=bare))
    with pytest.raises(InputError, match="22 of 89 images have no embedding") as caught:
        run_until(without, folder / "refused", None, "students", True)
    assert any(
        "22 of them are copies (NAME#1, ...) of images that the file has" in line for line in caught.value.problems
    )
