"""Students that start in the cloud's principal directions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from hetero.data.config import DataConfig
from hetero.errors import InputError
from hetero.geometry.directions import suggested_directions
from hetero.geometry.principal import principal_directions
from hetero.geometry.statistics import space_statistics
from hetero.models.config import ModelConfig
from hetero.models.directory import load_model
from hetero.nas.config import SearchConfig, Tier
from hetero.pipeline.recipe import Recipe
from hetero.pipeline.recipe_rules import recipe_problems
from hetero.space import EmbeddingSpace
from hetero.training.budget import require_budget
from hetero.training.config import CloudConfig, StudentConfig
from hetero.training.optimisation.schedule import Schedule
from hetero.training.principal_start import principal_start
from hetero.training.quantization_aware import tune_for_int8
from hetero.training.reference.cloud_reference import CloudReference, class_means
from hetero.training.student import train_student
from tests.hetero.geometry.clouds import isotropic, low_dimensional
from tests.hetero.training.test_student import EDGE, SHAPE, TRAINING, dataset

__all__ = ["dataset"]

CONFIG = StudentConfig(name="edge", model=EDGE, training=TRAINING, principal="auto")


@pytest.fixture(scope="module")
def cloud(dataset) -> CloudReference:
    """Raw vectors of a wide space, of which few directions count."""
    vectors = low_dimensional(count=len(dataset.train), dimension=32)
    space = EmbeddingSpace.define(defined_by="c", name="cloud", version="1", dimension=32)
    validation = low_dimensional(count=len(dataset.validation), dimension=32)
    return CloudReference(space, vectors, class_means(vectors, np.asarray(dataset.train.labels), 3), validation)


def test_mean_and_basis_are_those_of_the_clouds_training_vectors(dataset, cloud, tmp_path):
    student = train_student(dataset, cloud, CONFIG, SHAPE, tmp_path)
    assert student.config.principal == 8
    expected = principal_directions(cloud.train, 8)
    np.testing.assert_allclose(student.expansion.bias.numpy(), expected.mean, atol=1e-6)
    np.testing.assert_allclose(student.expansion.weight.numpy(), expected.basis, atol=1e-6)
    assert not np.allclose(student.neck.weight.detach().numpy(), expected.std, atol=1e-6)
    assert load_model(tmp_path).config.principal == 8
    assert student.space == cloud.space


def test_an_interrupted_run_ends_in_the_same_bits(dataset, cloud, tmp_path):
    config = dataclasses.replace(CONFIG, training=dataclasses.replace(TRAINING, checkpoint_every=2))
    straight = train_student(dataset, cloud, config, SHAPE, tmp_path / "straight")

    class KilledError(Exception):
        pass

    rate = Schedule.rate

    def rate_until_killed(schedule: Schedule, step: int) -> float:
        if step == 4:
            raise KilledError
        return rate(schedule, step)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KilledError):
        patch.setattr("hetero.training.optimisation.schedule.Schedule.rate", rate_until_killed)
        train_student(dataset, cloud, config, SHAPE, tmp_path / "killed")
    assert not (tmp_path / "killed" / "model.safetensors").exists()
    resumed = train_student(dataset, cloud, config, SHAPE, tmp_path / "killed")
    assert all(torch.equal(value, straight.state_dict()[name]) for name, value in resumed.state_dict().items())


def test_tuning_for_int8_keeps_the_directions(dataset, cloud, tmp_path):
    student = train_student(dataset, cloud, CONFIG, SHAPE, tmp_path / "student")
    tuned = tune_for_int8(dataset, cloud, CONFIG, tmp_path / "student", tmp_path / "tuned", steps=2)
    assert torch.equal(tuned.expansion.weight, student.expansion.weight)
    assert not torch.equal(tuned.embedding.weight, student.embedding.weight)


def test_a_number_is_taken_as_it_is_and_auto_follows_the_rule():
    assert principal_start(dataclasses.replace(CONFIG, principal=5), low_dimensional()).count == 5
    assert principal_start(CONFIG, low_dimensional()).count == 8
    assert principal_start(CONFIG, isotropic()) is None
    assert principal_start(dataclasses.replace(CONFIG, principal=0), low_dimensional()) is None


def test_auto_decomposes_once_and_takes_what_the_space_check_says(monkeypatch):
    vectors, decomposed, eigh = low_dimensional(rank=14, dimension=64), [], np.linalg.eigh
    monkeypatch.setattr(np.linalg, "eigh", lambda matrix: decomposed.append(matrix) or eigh(matrix))
    start = principal_start(CONFIG, vectors)
    assert len(decomposed) == 1
    assert start.count == suggested_directions(space_statistics(vectors)) == 24
    np.testing.assert_array_equal(start.basis, principal_directions(vectors, 24).basis)


def test_a_student_of_a_small_budget_takes_fewer(dataset, cloud, tmp_path):
    wide = low_dimensional(count=len(dataset.train), dimension=2048, rank=8)
    space = dataclasses.replace(cloud.space, dimension=2048)
    known = CloudReference(space, wide, class_means(wide, np.asarray(dataset.train.labels), 3), None)
    assert principal_start(CONFIG, low_dimensional(dimension=2048, rank=14)).count == 24
    assert principal_start(CONFIG, low_dimensional(dimension=2048, rank=14), macs=200_000).count == 16
    student = train_student(dataset, known, dataclasses.replace(CONFIG, max_macs=200_000), SHAPE, tmp_path)
    assert student.config.principal == 8


def test_too_many_are_refused(dataset, cloud, tmp_path):
    with pytest.raises(InputError, match="expected 1 to 11 principal directions.*got 20"):
        train_student(dataset, cloud, dataclasses.replace(CONFIG, principal=20), SHAPE, tmp_path)
    with pytest.raises(InputError, match="principal: expected at most 32, the dimension, got 40"):
        require_budget(dataclasses.replace(CONFIG, principal=40), 32, SHAPE, 0)


def test_a_budget_counts_the_directions():
    tight = dataclasses.replace(CONFIG, max_macs=200_000)
    fits = require_budget(dataclasses.replace(tight, principal=8), 4096, SHAPE, 0)
    assert (fits.principal, require_budget(tight, 4096, SHAPE, 0).principal) == (8, 8)
    with pytest.raises(InputError, match="no width"):
        require_budget(dataclasses.replace(tight, principal=0), 4096, SHAPE, 0)


def test_directions_are_asked_for_of_students_of_a_cloud():
    inside = ModelConfig(dimension=16, principal=8)
    for make in (lambda: StudentConfig(name="s", model=inside), lambda: CloudConfig(model=inside)):
        with pytest.raises(InputError, match="model.principal: the directions are those of a cloud's space"):
            make()
    with pytest.raises(InputError, match="an independent student has none"):
        StudentConfig(name="s", independent=True, principal=8)
    assert StudentConfig(name="s", independent=True, principal="auto").principal == "auto"


def test_a_search_counts_another_last_layer():
    search = SearchConfig(student=StudentConfig(name="student", principal=8))
    tiers = (Tier(name="phone", budget="macs <= 1e6"),)
    recipe = Recipe(name="r", preprocessing=SHAPE, data=DataConfig(kind="emoji"), search=search, tiers=tiers)
    problems = recipe_problems(recipe)
    assert [line for line in problems if line.startswith("search.student.principal: ")]
