"""Rewards: what candidates are judged on, and by which figures."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch

from hetero.data.augmentation.config import AugmentConfig
from hetero.data.augmentation.copies import with_copies
from hetero.errors import IntegrityError
from hetero.metrics.retrieval import evaluate_tasks
from hetero.metrics.task import RetrievalTask
from hetero.models.batch_norm import estimate_statistics
from hetero.models.embed import embed_images
from hetero.nas.evaluation.reward import SupernetReward, rewards
from hetero.nas.evaluation.reward_set import RewardSet
from hetero.nas.space.winner import as_student
from hetero.nas.supernet.directory import save_supernet
from hetero.nas.supernet.shared_weights import shared_tensors
from hetero.nas.supernet.supernet import Supernet
from hetero.training.config import StudentConfig
from hetero.training.student import fit_budget
from tests.hetero.nas import tiny
from tests.hetero.nas.tiny import FRAME, SHAPE, SPACE

DATA = tiny.dataset()
CLOUD = tiny.cloud(DATA)


def judged_on(calibration: int = 8, validation: int = 100, distractors: int = 0, seed: int = 0) -> RewardSet:
    return RewardSet.of(DATA, CLOUD, calibration=calibration, validation=validation, distractors=distractors, seed=seed)


@pytest.fixture(scope="module")
def supernet() -> Supernet:
    torch.manual_seed(0)
    return Supernet(FRAME)


@pytest.fixture(scope="module")
def directory(supernet, tmp_path_factory):
    directory = tmp_path_factory.mktemp("supernet")
    save_supernet(directory, FRAME, supernet.shared, judged_on(), CLOUD.space, {})
    return directory


def test_the_three_rewards(supernet):
    data, model = judged_on(), supernet.candidate(SPACE.smallest)
    estimate_statistics(model, torch.from_numpy(data.calibration))
    vectors, labels = embed_images(model, data.images), data.labels
    # Half way to the mean of each class, so that something is found, and not everything.
    gallery = vectors + np.stack([vectors[labels == label].mean(axis=0) for label in range(4)])[labels]
    data = dataclasses.replace(data, gallery=gallery / np.linalg.norm(gallery, axis=1, keepdims=True))
    figures = rewards(model, data, "cmc@1")
    assert figures["r1"] == evaluate_tasks(vectors, vectors, labels, data.tasks).mean("cmc@1")
    assert figures["r2"] == evaluate_tasks(vectors, data.gallery, labels, data.tasks).mean("cmc@1") > 0
    assert figures["r3"] == figures["r1"] * figures["r2"]
    assert figures["cosine"] == pytest.approx(np.mean([vectors[i] @ data.gallery[i] for i in range(len(vectors))]))
    assert figures["asymmetric.map@r"] == rewards(model, data)["r2"] != figures["asymmetric.cmc@1"]


def test_a_model_that_is_the_cloud_has_equal_rewards(supernet):
    model = supernet.candidate(SPACE.largest)
    own = dataclasses.replace(judged_on(), gallery=embed_images(model, DATA.validation.images))
    figures = rewards(model, own)
    assert figures["r1"] == figures["r2"]


def test_a_pickled_reward_gives_what_the_parts_give(directory, supernet):
    reward = pickle.loads(pickle.dumps(SupernetReward.of(directory)))
    assert len(pickle.dumps(reward)) < 1000
    model = supernet.candidate(SPACE.largest)
    estimate_statistics(model, torch.from_numpy(judged_on().calibration))
    assert reward(SPACE.largest) == pytest.approx(rewards(model, judged_on()))
    assert reward(SPACE.largest) == reward(SPACE.largest)


def test_without_estimation_the_moving_averages_are_taken(directory, supernet):
    reward = SupernetReward.of(directory, batch_norm=False)
    assert reward(SPACE.smallest) == pytest.approx(rewards(supernet.candidate(SPACE.smallest), judged_on()))


def test_a_supernet_that_was_trained_again_is_read_again(directory, tmp_path):
    for seed in (1, 2):
        torch.manual_seed(seed)
        save_supernet(tmp_path, FRAME, shared_tensors(FRAME), judged_on(seed=seed), CLOUD.space, {})
        reward = SupernetReward.of(tmp_path)
        reward(SPACE.smallest)
    assert reward(SPACE.largest) != SupernetReward.of(directory)(SPACE.largest)


def test_candidates_are_judged_on_whole_validation_classes():
    data = judged_on(validation=7)
    classes, sizes = np.unique(data.labels, return_counts=True)
    assert len(classes) == 2 and set(sizes) == {3}
    for task in data.tasks:
        assert len(task.query) and task.query.max() < 6 and task.gallery.max() < 6
    leave_one_out, halves = DATA.validation_tasks
    assert [(task.name, task.query.tolist(), task.gallery.tolist()) for task in judged_on().tasks] == [
        ("all", leave_one_out.query.tolist(), leave_one_out.gallery.tolist()),
        ("halves", halves.query.tolist(), halves.gallery.tolist()),
        ("halves, turned", halves.gallery.tolist(), halves.query.tolist()),
    ]
    rows = [DATA.validation.images[:].tolist().index(image.tolist()) for image in data.images]
    np.testing.assert_array_equal(data.gallery, CLOUD.validation[rows])
    assert len(judged_on(validation=1).images) == 3  # one class at least
    assert not np.array_equal(judged_on(calibration=4, seed=1).calibration, judged_on(calibration=4).calibration)


def test_training_images_of_other_classes_distract():
    alone, data = judged_on(validation=7), judged_on(validation=7, distractors=5)
    assert len(data.images) == 6 + 5
    np.testing.assert_array_equal(data.images[:6], alone.images)
    train = np.asarray(DATA.train.images).tolist()
    rows = [train.index(image.tolist()) for image in data.images[6:]]
    np.testing.assert_array_equal(data.gallery, np.concatenate([alone.gallery, CLOUD.train[rows]]))
    assert len(set(rows)) == 5 and not np.isin(data.labels[6:], data.labels[:6]).any()
    for task, before in zip(data.tasks, alone.tasks, strict=True):
        assert task.query.tolist() == before.query.tolist()
        assert task.gallery.tolist() == [*before.gallery.tolist(), *range(6, 11)]
    assert len(judged_on(distractors=100).images) == len(DATA.validation) + len(DATA.train)
    assert not np.array_equal(data.images[6:], judged_on(validation=7, distractors=5, seed=1).images[6:])


def test_distractors_are_originals_of_other_classes_and_the_galleries_views():
    both = dataclasses.replace(DATA.train, views=np.arange(12) % 2, view_names=("all", "back"))
    copied = with_copies(both, 2, AugmentConfig())
    known = dataclasses.replace(DATA.validation, classes=("t0", *DATA.validation.classes[1:]))
    data = dataclasses.replace(DATA.training_on(copied), validation=known)
    cloud = dataclasses.replace(CLOUD, train=np.tile(CLOUD.train, (3, 1)))
    judged = RewardSet.of(data, cloud, calibration=8, validation=100, distractors=100)
    # Of the 12 originals, t0's are of a validation class, and every other one shows the back.
    np.testing.assert_array_equal(judged.images[12:], both.images[np.array([4, 6, 8, 10])])
    np.testing.assert_array_equal(judged.gallery[12:], CLOUD.train[[4, 6, 8, 10]])


def test_distractors_make_both_rewards_harder(supernet):
    model = supernet.candidate(SPACE.largest)
    alone, among = rewards(model, judged_on()), rewards(model, judged_on(distractors=12))
    assert among["r1"] < alone["r1"] and among["r2"] < alone["r2"]


def test_the_set_survives_a_file(tmp_path):
    data = dataclasses.replace(
        judged_on(), tasks=(RetrievalTask("a>b", np.array([0]), np.array([1, 2]), exclude_self=True),)
    )
    data.save(tmp_path / "set")
    again = RewardSet.load(tmp_path / "set")
    for name in ("calibration", "images", "labels", "gallery"):
        np.testing.assert_array_equal(getattr(again, name), getattr(data, name))
    (task,) = again.tasks
    assert (task.name, task.query.tolist(), task.gallery.tolist(), task.exclude_self) == ("a>b", [0], [1, 2], True)
    (tmp_path / "set").write_bytes(b"nothing")
    with pytest.raises(IntegrityError, match="not a readable set"):
        RewardSet.load(tmp_path / "set")


def test_a_point_becomes_a_student_whose_budget_no_longer_changes_it():
    student = StudentConfig("watch", max_macs=1000, max_macs_share=0.01, max_parameters=10)
    made = as_student(SPACE, SPACE.largest, student)
    assert (made.name, made.training, made.objectives) == (student.name, student.training, student.objectives)
    assert fit_budget(made, 8, SHAPE, cloud_macs=100) == SPACE.config(SPACE.largest, dimension=8)
