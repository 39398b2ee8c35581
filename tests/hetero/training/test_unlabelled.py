"""Training on images without labels."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hetero.data.augmentation.copies import with_copies
from hetero.data.config import DataConfig
from hetero.data.embeddings.file import save_embeddings
from hetero.data.images import Dataset
from hetero.data.prepare import prepare
from hetero.data.subset import with_rows
from hetero.errors import InputError
from hetero.models.config import ModelConfig, Stage
from hetero.models.directory import load_prototypes
from hetero.models.external.embedders import ModuleEmbedder
from hetero.objectives.config import ObjectiveConfig
from hetero.preprocessing import Preprocessing
from hetero.training.cloud import train_cloud
from hetero.training.config import CloudConfig, StudentConfig, TrainingConfig
from hetero.training.reference.bank import bank_rows
from hetero.training.reference.cloud_reference import CloudReference
from hetero.training.reference.cloud_tensors import cloud_tensors
from hetero.training.student import train_student
from tests.hetero.data.pictures import write_classes, write_flat

SHAPE = Preprocessing(16, 16)
SHORT = TrainingConfig(steps=2, classes_per_batch=4, images_per_class=1, validate_every=2)
MODEL = ModelConfig(stem_channels=8, stages=(Stage(channels=8, stride=2),), dimension=6)
LABEL_FREE = (ObjectiveConfig("cloud_regression"), ObjectiveConfig("instance_contrastive"))


class Halves(nn.Module):
    """Mean colours of the upper and the lower half."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.adaptive_avg_pool2d(images, (2, 1)).flatten(1) - 0.47


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    place = tmp_path_factory.mktemp("flat")
    config = DataConfig(kind="folder", path=str(write_flat(place / "photos", 30)))
    return prepare(config, SHAPE, cache=place / "cache")


@pytest.fixture(scope="module")
def partly(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    place = tmp_path_factory.mktemp("partly")
    root = write_classes(place / "photos", {"a": 12, "b": 12})
    config = DataConfig(kind="folder", path=str(root), extra=(str(write_flat(place / "more", 5)),))
    return prepare(config, SHAPE, cache=place / "cache")


def cloud_of(dataset: Dataset) -> CloudReference:
    return CloudReference.from_embedder(ModuleEmbedder(Halves(), SHAPE, takes="scaled"), dataset)


def test_a_cloud_has_a_prototype_of_each_named_class_and_no_other(flat: Dataset, partly: Dataset) -> None:
    assert cloud_of(flat).prototypes.shape == (0, 6)
    some = cloud_of(partly)
    assert some.prototypes.shape == (2, 6)
    first = some.train[np.asarray(partly.train.labels) == 0].sum(axis=0)
    np.testing.assert_allclose(some.prototypes[0], first / np.linalg.norm(first), atol=1e-5)


def test_a_file_without_altered_copies_still_gives_the_gallery(flat: Dataset, tmp_path: Path) -> None:
    whole = cloud_of(flat)
    originals = len(flat.validation) // 2
    names = (*flat.train.names, *flat.validation.names[:originals])
    assert whole.validation is not None
    vectors = np.concatenate([whole.train, whole.validation[:originals]])
    save_embeddings(tmp_path / "bare.safetensors", vectors, names, whole.space)
    bare = CloudReference.from_file(tmp_path / "bare.safetensors", flat)
    assert bare.validation is not None
    np.testing.assert_array_equal(bare.validation, np.tile(whole.validation[:originals], (2, 1)))


def test_a_student_learns_without_labels(flat: Dataset, tmp_path: Path) -> None:
    dataset = flat.training_on(with_copies(flat.train, 1, CloudConfig().copies_augment))
    config = StudentConfig("edge", model=MODEL, objectives=LABEL_FREE, training=SHORT)
    train_student(dataset, cloud_of(dataset), config, SHAPE, tmp_path)
    assert 0 <= json.loads((tmp_path / "metrics.json").read_text())["validation"]["cmc@1"] <= 1


def test_objectives_of_labels_are_refused_before_anything_else(flat: Dataset, partly: Dataset, tmp_path: Path) -> None:
    by_labels = (*LABEL_FREE, ObjectiveConfig("cloud_contrastive"), ObjectiveConfig("hvs_composite"))
    config = StudentConfig("edge", model=MODEL, objectives=by_labels, training=SHORT)
    for dataset, count in ((flat, "none has one"), (partly, "5 of them have none")):
        with pytest.raises(
            InputError, match=f"student edge: cloud_contrastive, hvs_composite learn from .*{count}; use"
        ):
            train_student(dataset, cloud_of(dataset), config, SHAPE, tmp_path)
    with pytest.raises(InputError, match="cloud model cloud: own_head, supervised_contrastive .*bring labels"):
        train_cloud(flat, CloudConfig(model=MODEL, training=SHORT), SHAPE, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_cloud_model_is_trained_on_the_images_that_have_labels(partly: Dataset, tmp_path: Path) -> None:
    config = CloudConfig(model=MODEL, training=dataclasses.replace(SHORT, classes_per_batch=2))
    named = np.flatnonzero(partly.train.labelled)
    model = train_cloud(partly, config, SHAPE, tmp_path / "partly")
    assert load_prototypes(tmp_path / "partly") is not None
    alone = train_cloud(partly.training_on(with_rows(partly.train, named)), config, SHAPE, tmp_path / "alone")
    assert model.space is not None and alone.space is not None
    assert model.space.space_id == alone.space.space_id


def test_the_bank_stays_small_without_classes(flat: Dataset) -> None:
    labels = np.arange(50)
    assert len(bank_rows(labels, labels, seed=0, largest=10, classes=0)) == 10
    assert len(bank_rows(labels, labels, seed=0, largest=10, classes=30)) == 30
    tensors = cloud_tensors(cloud_of(flat), flat, who="edge", seed=0)
    assert tensors.prototypes is not None and tensors.prototypes.shape == (0, 6)
