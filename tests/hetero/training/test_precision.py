"""Mixed precision: every kind of training runs in it, and what compares vectors does so in float32."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

from hetero.errors import InputError
from hetero.nas.supernet.train import train_supernet
from hetero.objectives.config import ObjectiveConfig
from hetero.own_code import VARIABLE
from hetero.pipeline.draft import parse_recipe
from hetero.pipeline.preflight.trainable import require_trainable, trainings_of
from hetero.training.cloud import train_cloud
from hetero.training.config import StudentConfig
from hetero.training.loop.machine import machine_problems, require_machine
from hetero.training.quantization_aware import short, tune_for_int8
from hetero.training.reference.cloud_reference import CloudReference
from hetero.training.student import train_student
from hetero.upgrade.config import UpgradeConfig
from hetero.upgrade.train import train_upgrade
from tests.hetero.nas import tiny as search
from tests.hetero.upgrade.tiny import SHAPE, cloud, dataset

DATA = dataset()


def mixed(training, precision="bf16-mixed"):
    return dataclasses.replace(training, precision=precision)


def losses(directory):
    lines = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def shapes_and_types(batch):
    """An objective that refuses vectors of half precision, or of a length that is not one."""
    assert batch.embeddings.dtype == batch.cloud.dtype == batch.bank.dtype == torch.float32
    for vectors in (batch.embeddings, batch.cloud):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)), atol=1e-6, rtol=0)
    similarities = batch.embeddings @ batch.bank.T
    assert similarities.dtype == torch.float32
    return similarities.square().mean()


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("v1")
    config = cloud()
    train_cloud(DATA, dataclasses.replace(config, training=mixed(config.training)), SHAPE, directory)
    return directory


@pytest.fixture(scope="module")
def reference(directory):
    return CloudReference.from_model(directory, DATA)


@pytest.mark.parametrize("live", [False, True])
def test_a_student_and_its_tuning(reference, tmp_path, live, monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")
    own = ObjectiveConfig(f"{__name__}:{shapes_and_types.__name__}")
    config = StudentConfig("s", live=live, model=cloud().model, training=mixed(cloud().training))
    with_own = dataclasses.replace(config, objectives=(*config.objectives, own))
    train_student(DATA, reference, with_own, SHAPE, tmp_path / "s")
    plain = dataclasses.replace(with_own, training=mixed(config.training, "32-true"))
    train_student(DATA, reference, plain, SHAPE, tmp_path / "plain")
    assert losses(tmp_path / "s") == pytest.approx(losses(tmp_path / "plain"), rel=0.05)
    assert losses(tmp_path / "s") != losses(tmp_path / "plain")
    tune_for_int8(DATA, reference, config, tmp_path / "s", tmp_path / "tuned", steps=2)
    assert len(losses(tmp_path / "tuned")) == 2


def test_tuning_knows_no_other_rounding_than_int8():
    assert short(mixed(cloud().training), 8).precision == "32-true"


def test_an_upgrade(directory, tmp_path):
    config = cloud(name="v2")
    config = dataclasses.replace(config, training=mixed(config.training))
    train_upgrade(DATA, directory, config, UpgradeConfig(), SHAPE, tmp_path)
    assert len(losses(tmp_path)) == 2


def test_a_supernet(tmp_path):
    data = search.dataset()
    config = dataclasses.replace(search.CONFIG, training=mixed(search.CONFIG.training))
    train_supernet(data, search.cloud(data), search.SPACE, config, search.SHAPE, tmp_path)
    assert len(losses(tmp_path)) == 2


@pytest.mark.skipif(torch.accelerator.is_available(), reason="a GPU trains in float16")
def test_float16_is_refused_on_a_cpu_before_anything_is_trained(reference, tmp_path):
    config = StudentConfig("s", model=cloud().model, training=mixed(cloud().training, "16-mixed"))
    with pytest.raises(InputError, match='"16-mixed" needs a GPU'):
        train_student(DATA, reference, config, SHAPE, tmp_path)
    assert not list(tmp_path.iterdir())
    recipe = parse_recipe(
        {
            "name": "x",
            "preprocessing": {"height": 32, "width": 32},
            "data": {"kind": "folder", "path": "photos"},
            "cloud": {"training": {"precision": "16-mixed"}},
            "students": [{"name": "edge", "training": {"precision": "16-mixed"}}],
        },
        what="x",
    )
    with pytest.raises(InputError) as caught:
        require_trainable(recipe)
    assert [line.split(".precision")[0] for line in caught.value.problems] == [
        "cloud.training",
        "students.edge.training",
    ]


def test_compiled_steps_need_a_compiler_and_one_process(monkeypatch):
    compiled = {"cloud.training": dataclasses.replace(cloud().training, compile=True)}
    monkeypatch.setattr("hetero.training.loop.machine._has_gpu", lambda: False)
    monkeypatch.setattr("shutil.which", lambda name: "/bin/mine" if name == "mine" else None)
    (line,) = machine_problems(compiled)
    assert line.startswith("cloud.training.compile: needs a C++ compiler")
    monkeypatch.setenv("CXX", "mine")
    assert not machine_problems(compiled)
    monkeypatch.setenv("WORLD_SIZE", "2")
    (line,) = machine_problems(compiled)
    assert line.startswith("cloud.training.compile: compiled steps would not take batch norm's statistics over all 2")


def test_steps_are_compiled_and_looks_at_validation_are_not(tmp_path, monkeypatch):
    calls: list[int] = []

    def compiler(function):
        def compiled(pixels):
            calls.append(len(pixels))
            return function(pixels)

        return compiled

    monkeypatch.setattr(torch, "compile", compiler)
    config = cloud()
    training = dataclasses.replace(config.training, compile=True, average=0.9)
    train_cloud(DATA, dataclasses.replace(config, training=training), SHAPE, tmp_path)
    assert calls == [config.training.classes_per_batch * config.training.images_per_class] * config.training.steps
    assert not short(training, 8).compile


def test_bfloat16_and_float32_are_for_every_machine():
    for precision in ("bf16-mixed", "32-true"):
        require_machine(mixed(cloud().training, precision))


def test_a_cloud_that_is_a_file_is_not_trained():
    value = {
        "name": "x",
        "preprocessing": {"height": 32, "width": 32},
        "data": {"kind": "folder", "path": "photos"},
        "cloud": {"embeddings": "cloud.npy"},
        "students": [{"name": "edge"}],
    }
    trainings = trainings_of(parse_recipe(value, what="x"))
    assert list(trainings) == ["students.edge.training"]
    assert not machine_problems(trainings)
