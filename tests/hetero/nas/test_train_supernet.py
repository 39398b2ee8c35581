"""Training a supernet: which paths are trained, that a killed run resumes, and what its directory gives."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from hetero.errors import InputError, IntegrityError
from hetero.files import read_json
from hetero.nas.evaluation.reward import SupernetReward
from hetero.nas.supernet import train as module
from hetero.nas.supernet.directory import WEIGHTS, load_supernet
from hetero.nas.supernet.train import train_supernet
from hetero.objectives.config import ObjectiveConfig
from tests.hetero.nas import tiny
from tests.hetero.nas.tiny import CONFIG, SHAPE, SPACE

DATA = tiny.dataset()
CLOUD = tiny.cloud(DATA)


class Killed(BaseException):
    """Stands for SIGKILL."""


def train(directory, config=CONFIG, **more):
    return train_supernet(DATA, CLOUD, SPACE, config, SHAPE, directory, **more)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("supernet")
    train(directory, seed=3)
    return directory


def test_a_killed_run_ends_in_the_bits_of_an_uninterrupted_one(directory, tmp_path, monkeypatch):
    def dies(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(module, "rewards", dies)  # at the first look at validation, after step 2
        with pytest.raises(Killed):
            train(tmp_path, dataclasses.replace(CONFIG, training=_often(CONFIG.training)), seed=3)
    train(tmp_path, dataclasses.replace(CONFIG, training=_often(CONFIG.training)), seed=3)
    whole = tmp_path / "whole"
    train(whole, dataclasses.replace(CONFIG, training=_often(CONFIG.training)), seed=3)
    assert (tmp_path / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    steps = [line for line in (tmp_path / "log.jsonl").read_text().splitlines() if "validation" in line]
    assert len(steps) == 2
    assert read_json(tmp_path / "metrics.json")["best_step"] == CONFIG.training.steps


def _often(training):
    return dataclasses.replace(training, checkpoint_every=1)


def test_the_sandwich_rule_trains_the_mean_of_its_paths(tmp_path):
    config = dataclasses.replace(
        CONFIG, sampling="sandwich", random_paths=1, objectives=(ObjectiveConfig("cloud_regression"),)
    )
    train(tmp_path, config)
    assert load_supernet(tmp_path).frame.space == SPACE
    assert '"step": 4' in (tmp_path / "log.jsonl").read_text()


def test_training_changes_the_weights_of_what_was_drawn(directory):
    torch.manual_seed(3)
    fresh = tiny_shared()
    stored = load_supernet(directory).shared
    assert fresh.keys() == stored.keys()
    changed = [key for key, tensor in stored.items() if not torch.equal(tensor, fresh[key])]
    assert any("/stem/" in key for key in changed) and any("/1/0/" in key for key in changed)


def tiny_shared():
    from hetero.nas.supernet.shared_weights import shared_tensors

    return shared_tensors(tiny.FRAME)


def test_the_directory_says_what_it_holds(directory):
    stored = load_supernet(directory)
    assert stored.frame == tiny.FRAME
    assert stored.embedding_space == CLOUD.space
    assert SupernetReward.of(directory).digest != SupernetReward.of(directory, batch_norm=False).digest


def test_a_damaged_or_missing_supernet_is_refused(directory, tmp_path):
    with pytest.raises(InputError, match=r"no supernet.json"):
        load_supernet(tmp_path)
    for name in ("supernet.json", "supernet.safetensors", "rewards.safetensors", "space.json"):
        (tmp_path / name).write_bytes((directory / name).read_bytes())
    (tmp_path / WEIGHTS).write_bytes(b"no weights")
    with pytest.raises(IntegrityError, match="train the supernet again"):
        load_supernet(tmp_path)


def test_what_cannot_be_trained_is_said_before_it_starts(tmp_path):
    with pytest.raises(InputError, match="vectors of the validation images are missing"):
        train_supernet(DATA, dataclasses.replace(CLOUD, validation=None), SPACE, CONFIG, SHAPE, tmp_path)
    with pytest.raises(InputError, match=r"random_paths: .* got -1\n.*opening: .* got 2.0\n.*calibration: .* got 1"):
        train(tmp_path, dataclasses.replace(CONFIG, calibration=1, random_paths=-1, opening=2.0))
    assert not list(tmp_path.iterdir())


def test_another_seed_is_another_supernet(directory, tmp_path):
    train(tmp_path, seed=4)
    first, second = load_supernet(directory), load_supernet(tmp_path)
    assert not np.array_equal(first.shared["shuffle/embedding/weight"], second.shared["shuffle/embedding/weight"])
