"""Students that start from the weights of another model."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from hetero.data.config import DataConfig
from hetero.errors import InputError
from hetero.models.model import EmbeddingModel
from hetero.pipeline.draft import Draft
from hetero.pipeline.preflight.checks import file_problems
from hetero.pipeline.recipe import Recipe, anchored
from hetero.space import EmbeddingSpace
from hetero.training.config import StudentConfig
from hetero.training.start import start_at_weights, start_identity, start_of
from hetero.training.student import train_student
from tests.hetero.training.test_principal_start import CONFIG, cloud
from tests.hetero.training.test_student import EDGE, SHAPE, TRAINING, dataset

__all__ = ["cloud", "dataset"]

SPACE = EmbeddingSpace.define(defined_by="a", name="one", version="1", dimension=8)
OTHER = EmbeddingSpace.define(defined_by="b", name="other", version="1", dimension=8)


def new(seed: int, space: EmbeddingSpace | None = None, **changes: object) -> EmbeddingModel:
    torch.manual_seed(seed)
    model = EmbeddingModel(f"model {seed}", dataclasses.replace(EDGE, **changes), SHAPE)
    model.space = space
    return model


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    return all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "space", "last_layer"),
    [({}, SPACE, True), ({}, OTHER, False), ({}, None, False), ({"principal": 4}, SPACE, False)],
)
def test_the_last_layer_comes_along_within_a_space(changes, space, last_layer):
    model, start = new(0, **changes), new(1, SPACE)
    before = model.embedding.weight.clone()
    start_at_weights(model, start, space)
    assert same(model.backbone, start.backbone)
    assert torch.equal(model.embedding.weight, start.embedding.weight if last_layer else before)


def test_any_module_of_the_same_form_is_a_backbone():
    model, start = new(0), new(1)
    start_at_weights(model, start.backbone, SPACE)
    assert same(model.backbone, start.backbone)
    assert not torch.equal(model.embedding.weight, start.embedding.weight)


def test_another_architecture_is_refused():
    with pytest.raises(InputError, match="another architecture .* and no budget that would change the width"):
        start_at_weights(new(0), new(1, width=3.0), SPACE)


def test_a_student_starts_where_another_ended_and_is_another_run(dataset, cloud, tmp_path):
    first = train_student(dataset, cloud, CONFIG, SHAPE, tmp_path / "first")
    tiny = dataclasses.replace(TRAINING, steps=1, learning_rate=1e-9, weight_decay=0.0)
    named = dataclasses.replace(CONFIG, start=str(tmp_path / "first"), training=tiny)
    second = train_student(dataset, cloud, named, SHAPE, tmp_path / "second")
    for name, parameter in second.named_parameters():
        torch.testing.assert_close(parameter, dict(first.named_parameters())[name], atol=1e-6, rtol=0)
    by_module = dataclasses.replace(named, start="")
    third = train_student(dataset, cloud, by_module, SHAPE, tmp_path / "third", start=first)
    assert same(third, second)
    # The same directory, but another start: nothing is continued.
    fourth = train_student(dataset, cloud, by_module, SHAPE, tmp_path / "third")
    assert not same(fourth.backbone, third.backbone)
    assert start_identity(None) == [] != start_identity(first)


def test_one_start_only(tmp_path):
    config = dataclasses.replace(CONFIG, start=str(tmp_path))
    with pytest.raises(InputError, match="expected one start"):
        start_of(config, new(0))
    with pytest.raises(InputError, match="no config.json in it"):
        start_of(config, None)
    assert start_of(CONFIG, None) is None


def test_a_recipe_counts_its_path_from_its_folder_and_looks_there_first(tmp_path):
    student = StudentConfig(name="edge", start="models/old")
    recipe = Recipe(name="r", preprocessing=SHAPE, data=DataConfig(kind="emoji"), students=(student,))
    found = anchored(recipe, tmp_path)
    assert Path(found.students[0].start) == (tmp_path / "models" / "old").resolve()
    problems = file_problems(Draft.of(found))
    assert [line for line in problems if line.startswith("students.0 (edge).start: expected a model directory at")]
