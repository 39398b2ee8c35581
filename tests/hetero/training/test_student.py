"""Cloud models and students end to end on generated images: budgets, spaces and what may be missing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from hetero.data.augmentation.config import LIGHT, UNCHANGED, AugmentConfig
from hetero.data.augmentation.copies import with_copies
from hetero.data.embeddings.file import save_embeddings
from hetero.data.images import Dataset, ImageSet
from hetero.errors import InputError
from hetero.metrics.task import RetrievalTask
from hetero.models.config import ModelConfig, Stage
from hetero.models.directory import load_model, load_prototype_classes, load_prototypes
from hetero.models.external.embedders import ModuleEmbedder
from hetero.objectives.config import ObjectiveConfig
from hetero.preprocessing import Preprocessing
from hetero.training.cloud import train_cloud
from hetero.training.config import CloudConfig, StudentConfig, TrainingConfig
from hetero.training.reference.cloud_reference import CloudReference, class_means
from hetero.training.student import train_student

SHAPE = Preprocessing(height=16, width=16)
TRAINING = TrainingConfig(steps=4, classes_per_batch=3, images_per_class=2, validate_every=2, threads=1)
EDGE = ModelConfig(dimension=8, stem_channels=8, stages=(Stage(channels=8, stride=2),))
CLOUD = CloudConfig(
    model=ModelConfig(family="residual", dimension=8, stem_channels=8, stages=(Stage(channels=16, stride=2),)),
    training=TRAINING,
)


def image_set(prefix: str, per_class: int, seed: int) -> ImageSet:
    count = 3 * per_class
    return ImageSet(
        images=np.random.default_rng(seed).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8),
        labels=np.repeat(np.arange(3), per_class),
        classes=("a", "b", "c"),
        views=np.zeros(count, np.int64),
        view_names=("all",),
        names=tuple(f"{prefix}/{row}" for row in range(count)),
        fingerprint=prefix,
    )


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    task = (RetrievalTask("all", np.arange(6), np.arange(6), exclude_self=True),)
    return Dataset("tiny", image_set("t", 4, 0), image_set("v", 2, 1), image_set("e", 2, 2), task, task, "tiny")


@pytest.fixture(scope="module")
def cloud_directory(dataset, tmp_path_factory):
    directory = tmp_path_factory.mktemp("cloud")
    train_cloud(dataset, CLOUD, SHAPE, directory, seed=1)
    return directory


def test_a_cloud_model_defines_a_space_and_its_prototypes_belong_to_it(cloud_directory):
    model = load_model(cloud_directory)
    assert model.space is not None and model.space.dimension == 8
    prototypes = load_prototypes(cloud_directory)
    np.testing.assert_allclose(np.linalg.norm(prototypes, axis=1), 1.0, atol=1e-6)


def test_a_student_lives_in_the_clouds_space_within_its_budget(dataset, cloud_directory, tmp_path):
    cloud = CloudReference.from_model(cloud_directory, dataset)
    config = StudentConfig(name="edge", model=EDGE, max_macs=160_000, training=TRAINING)
    student = train_student(dataset, cloud, config, SHAPE, tmp_path)
    assert student.space == cloud.space
    saved = load_model(tmp_path)
    assert saved.space == cloud.space
    images = torch.from_numpy(dataset.test.images[:])
    assert torch.equal(saved(images), student(images))


def test_a_control_has_a_space_of_its_own_and_starts_from_directions_of_its_own(dataset, cloud_directory, tmp_path):
    config = StudentConfig(
        name="control", independent=True, model=EDGE, training=TRAINING, objectives=(ObjectiveConfig("own_head"),)
    )
    control = train_student(dataset, None, config, SHAPE, tmp_path, seed=1)
    cloud = load_model(cloud_directory)
    assert control.space.space_id != cloud.space.space_id


def test_a_file_of_the_training_images_embeddings_is_enough(dataset, tmp_path):
    space_of = ModuleEmbedder(torch.nn.Flatten(), SHAPE, takes="scaled").space
    generator = np.random.default_rng(0)
    space = dataclasses.replace(space_of, dimension=8)
    vectors = generator.normal(size=(len(dataset.train), 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    save_embeddings(tmp_path / "cloud.safetensors", vectors, dataset.train.names, space)
    cloud = CloudReference.from_file(tmp_path / "cloud.safetensors", dataset)
    assert cloud.validation is None
    np.testing.assert_allclose(cloud.train, vectors, atol=1e-6)
    student = train_student(
        dataset, cloud, StudentConfig(name="edge", model=EDGE, training=TRAINING), SHAPE, tmp_path / "model"
    )
    assert student.space.space_id == space.space_id


def test_a_model_given_as_a_module_is_a_cloud(dataset):
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(768, 8))
    cloud = CloudReference.from_embedder(ModuleEmbedder(module, SHAPE, takes="scaled"), dataset)
    with torch.no_grad():
        pixels = torch.from_numpy(dataset.train.images[:2]).permute(0, 3, 1, 2).float() / 255
        expected = torch.nn.functional.normalize(module(pixels), dim=1)
    np.testing.assert_allclose(cloud.train[:2], expected.numpy(), atol=1e-5)


def test_a_heads_classes_are_matched_by_name_and_the_others_get_class_means(dataset, cloud_directory):
    train = dataclasses.replace(dataset.train, classes=("c", "new", "a"))
    cloud = CloudReference.from_model(cloud_directory, dataclasses.replace(dataset, train=train))
    head = load_prototypes(cloud_directory)
    assert load_prototype_classes(cloud_directory) == ("a", "b", "c")
    np.testing.assert_array_equal(cloud.prototypes[[0, 2]], head[[2, 0]])
    means = class_means(cloud.train, dataset.train.labels, 3)
    np.testing.assert_array_equal(cloud.prototypes[1], means[1])
    assert not np.allclose(cloud.prototypes[0], means[0])


def test_class_means_by_hand():
    vectors = np.array([[1, 0], [0, 1], [0, 2]], np.float32)
    means = class_means(vectors, np.array([0, 0, 1]), 2)
    np.testing.assert_allclose(means, [[2**-0.5, 2**-0.5], [0, 1]], atol=1e-6)


def test_classes_without_a_mean_are_an_error():
    with pytest.raises(InputError, match=r"1 classes have no mean direction .*\[1\]"):
        class_means(np.array([[1, 0], [1, 0], [-1, 0]], np.float32), np.array([0, 1, 1]), 2)


def test_a_live_cloud_at_hand_trains_and_one_that_is_not_is_an_error(dataset, cloud_directory, tmp_path):
    config = StudentConfig(name="edge", model=EDGE, training=TRAINING, live=True)
    cloud = CloudReference.from_model(cloud_directory, dataset)
    assert train_student(dataset, cloud, config, SHAPE, tmp_path / "a").space == cloud.space
    changing = dataclasses.replace(config, live=False, refresh=0.5)
    assert train_student(dataset, cloud, changing, SHAPE, tmp_path / "c").space == cloud.space
    with pytest.raises(InputError, match=r"live = true.*only its embeddings"):
        train_student(dataset, dataclasses.replace(cloud, model=None), config, SHAPE, tmp_path / "b")


def test_photos_are_lightly_changed_and_changed_copies_are_not(dataset, cloud_directory, tmp_path):
    def weights(images: Dataset, name: str, augment: AugmentConfig | None, refresh: float = 0.0) -> torch.Tensor:
        training = dataclasses.replace(TRAINING, augment=augment)
        config = StudentConfig(name="edge", model=EDGE, training=training, refresh=refresh)
        cloud = dataclasses.replace(CloudReference.from_model(cloud_directory, images), mirrors=False)
        student = train_student(images, cloud, config, SHAPE, tmp_path / name)
        return torch.cat([parameter.flatten() for parameter in student.parameters()])

    copied = dataset.training_on(with_copies(dataset.train, 1, LIGHT, seed=0))
    assert torch.equal(weights(dataset, "photos", None), weights(dataset, "light", LIGHT))
    assert torch.equal(weights(copied, "copies", None), weights(copied, "unchanged", UNCHANGED))
    assert not torch.equal(weights(copied, "copies", None), weights(copied, "changed", LIGHT))
    assert torch.equal(
        weights(copied, "fresh", None, refresh=0.5), weights(copied, "freshly light", LIGHT, refresh=0.5)
    )
