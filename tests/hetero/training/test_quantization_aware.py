"""Fine-tuning for int8 through the loop that every model trains with."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from hetero.errors import SpaceMismatchError
from hetero.metrics.task import RetrievalTask
from hetero.models.directory import load_model
from hetero.models.fake_quant import fake_quantised
from hetero.objectives.config import ObjectiveConfig
from hetero.processes.threads import torch_threads
from hetero.space import EmbeddingSpace
from hetero.training.config import StudentConfig
from hetero.training.optimisation.rates import PEAK_RATES
from hetero.training.quantization_aware import RATE, short, tune_for_int8
from hetero.training.reference.cloud_reference import CloudReference
from hetero.training.student import train_student
from tests.hetero.training.test_student import EDGE, SHAPE, TRAINING, dataset

__all__ = ["dataset"]

CONFIG = StudentConfig(name="student", model=EDGE, training=TRAINING)


@pytest.fixture(scope="module")
def cloud(dataset) -> CloudReference:
    """A cloud that gives each class a direction of its own."""
    directions = np.eye(8, dtype=np.float32)[:3]
    space = EmbeddingSpace.define(defined_by="e" * 64, name="cloud", version="1", dimension=8)
    return CloudReference(space, directions[np.asarray(dataset.train.labels)], directions, None)


@pytest.fixture(scope="module")
def student(dataset, cloud, tmp_path_factory):
    directory = tmp_path_factory.mktemp("student")
    train_student(dataset, cloud, CONFIG, SHAPE, directory)
    return directory


def test_the_tuned_student_is_a_student_like_any_other(dataset, cloud, student, tmp_path):
    tuned = tune_for_int8(dataset, cloud, CONFIG, student, tmp_path, steps=4)
    before, after = load_model(student), load_model(tmp_path)
    assert after.space == before.space == cloud.space
    assert set(after.state_dict()) == set(before.state_dict())
    moved = {name for name, value in after.state_dict().items() if not torch.equal(value, before.state_dict()[name])}
    assert moved
    assert not [name for name in moved if "running" in name], (
        "the file has the statistics folded in: they must not move"
    )
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert (metrics["tuned_for"], metrics["macs"]) == (
        "int8",
        json.loads((student / "metrics.json").read_text())["macs"],
    )
    images = torch.from_numpy(dataset.test.images)
    with torch.no_grad():
        assert torch.equal(tuned(images), after(images))


def test_tuning_brings_the_rounded_model_closer_to_the_cloud(dataset, cloud, student, tmp_path):
    rows = np.arange(len(dataset.train.names))
    seen = dataclasses.replace(
        dataset, validation=dataset.train, validation_tasks=(RetrievalTask("all", rows, rows, exclude_self=True),)
    )
    config = dataclasses.replace(
        CONFIG,
        objectives=(ObjectiveConfig("cloud_regression", weight=10.0),),
        training=dataclasses.replace(TRAINING, optimizer="adamw", learning_rate=0.3),
    )
    known = dataclasses.replace(cloud, validation=cloud.train)
    tune_for_int8(seen, known, config, student, tmp_path, steps=40)
    images = torch.from_numpy(dataset.train.images)
    figures = []
    for directory in (student, tmp_path):
        model = load_model(directory)
        with fake_quantised(model, images), torch.no_grad():
            figures.append(float((model(images) * torch.from_numpy(cloud.train)).sum(dim=1).mean()))
    assert figures[1] > figures[0] + 0.05


def test_the_same_seed_gives_the_same_weights_whatever_threads_the_process_has(dataset, cloud, student, tmp_path):
    for name, threads in (("a", 1), ("b", 2)):
        with torch_threads(threads):
            tune_for_int8(dataset, cloud, CONFIG, student, tmp_path / name, steps=3)
            assert torch.get_num_threads() == threads
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


def test_another_space_is_refused(dataset, cloud, student, tmp_path):
    other = EmbeddingSpace.define(defined_by="f" * 64, name="other", version="1", dimension=8)
    with pytest.raises(SpaceMismatchError, match="the cloud's embeddings"):
        tune_for_int8(dataset, dataclasses.replace(cloud, space=other), CONFIG, student, tmp_path)


def test_the_schedule_is_short_and_slow():
    made = short(TRAINING, 80)
    assert (made.steps, made.validate_every, made.candidates_from) == (80, 10, 0.0)
    assert (made.optimizer, made.learning_rate) == ("adamw", PEAK_RATES["adamw"] * RATE)
    asked = dataclasses.replace(TRAINING, optimizer="adamw", learning_rate=0.01)
    assert short(asked, 80).learning_rate == 0.01 * RATE
