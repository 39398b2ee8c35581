"""What users of the replaced student saw, and that a new student is trained with it."""

import dataclasses

import numpy as np
import pytest
import torch

from hetero.errors import InputError
from hetero.models.model import EmbeddingModel
from hetero.objectives.config import ObjectiveConfig
from hetero.space import EmbeddingSpace
from hetero.training.config import StudentConfig
from hetero.training.reference.cloud_reference import CloudReference
from hetero.training.reference.previous import PreviousStudent, start_from
from hetero.training.student import train_student
from tests.hetero.upgrade.tiny import SHAPE, cloud, dataset, image_set


def at(*degrees: float) -> np.ndarray:
    angles = np.deg2rad(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_first_hits_by_hand_with_copies_that_only_ask():
    images = image_set("t", 2, 0, ("a", "b"))  # labels 0 0 1 1
    copies = dataclasses.replace(
        images,
        images=np.concatenate([images.images, images.images]),
        labels=np.tile(images.labels, 2),
        views=np.tile(images.views, 2),
        names=(*images.names, *(f"{name}#1" for name in images.names)),
    )
    gallery = at(0, 10, 90, 100, 45, 45, 45, 45)
    vectors = at(0, 60, 95, 5, 5, 80, 100, 20)
    # The first four leave themselves out: 10 (right), 90 (wrong), 100 (right), 10 (wrong). Copies leave their
    # originals out: of 0 finds 10 (right), of 10 finds 90 (wrong), of 90 finds 100 (right), of 100 finds 10 (wrong).
    previous = PreviousStudent.of(vectors, gallery, copies)
    np.testing.assert_array_equal(previous.right, [True, False, True, False, True, False, True, False])


def test_arrays_of_other_images_are_refused():
    with pytest.raises(InputError, match="each of 4 images, got 3 and 3"):
        PreviousStudent.of(at(0, 1, 2), at(0, 1, 2), image_set("t", 2, 0, ("a", "b")))


def test_a_new_student_is_another_run_when_it_replaces_one(tmp_path):
    data = dataset()
    generator = np.random.default_rng(0)

    def unit(rows: int) -> np.ndarray:
        vectors = generator.normal(size=(rows, 8)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    space = EmbeddingSpace.define(defined_by="c", name="cloud", version="2", dimension=8)
    reference = CloudReference(space, unit(16), unit(4), None)
    terms = (ObjectiveConfig("cloud_regression"), ObjectiveConfig("focal_update", 10.0))
    config = StudentConfig(name="edge", model=cloud().model, objectives=terms, training=cloud().training)
    previous = PreviousStudent.of(unit(16), reference.train, data.train)
    train_student(data, reference, config, SHAPE, tmp_path, previous=previous)
    first = (tmp_path / "model.safetensors").read_bytes()
    other = dataclasses.replace(previous, right=~previous.right)
    train_student(data, reference, config, SHAPE, tmp_path, previous=other)
    assert (tmp_path / "model.safetensors").read_bytes() != first
    with pytest.raises(InputError, match=r"previous=\.\.\."):
        train_student(data, reference, config, SHAPE, tmp_path / "without")
    with pytest.raises(InputError, match="give the cloud model, too"):
        train_student(data, None, config, SHAPE, tmp_path / "free", previous=previous)


def test_a_new_student_can_start_from_the_old_ones_weights(tmp_path):
    torch.manual_seed(1)
    old = EmbeddingModel("old", cloud().model, SHAPE)
    nothing = PreviousStudent(np.zeros((1, 8), np.float32), np.zeros(1, bool))
    start_from(old, None)
    start_from(old, nothing)
    torch.manual_seed(2)
    new = EmbeddingModel("new", cloud().model, SHAPE)
    warm = dataclasses.replace(nothing, start=old)
    start_from(new, warm)
    assert all(torch.equal(one, old.state_dict()[name]) for name, one in new.state_dict().items())
    assert warm.identity != nothing.identity
    with pytest.raises(InputError, match="student other cannot start from the weights of old"):
        start_from(EmbeddingModel("other", cloud(12).model, SHAPE), warm)
