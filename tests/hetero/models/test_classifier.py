"""A model with its head as a classifier, and what it answers of a model without one."""

import numpy as np
import pytest
import torch

from hetero.errors import InputError
from hetero.models.classifier import Classifier
from hetero.models.directory import save_model, save_prototypes
from hetero.models.embed import embed_images
from hetero.models.model import EmbeddingModel
from hetero.training.cloud import train_cloud
from hetero.training.outcome import own_space
from tests.hetero.upgrade.tiny import SHAPE, cloud, dataset


def test_the_class_of_the_nearest_prototype(tmp_path):
    data = dataset()
    train_cloud(data, cloud(steps=20), SHAPE, tmp_path)
    classifier = Classifier.load(tmp_path)
    assert classifier.classes == data.train.classes
    vectors = embed_images(classifier.model, data.train.images)
    distances = np.linalg.norm(vectors[:, None] - classifier.prototypes[None], axis=2)
    answers = classifier.predict(data.train.images)
    np.testing.assert_array_equal(answers, distances.argmin(axis=1))
    np.testing.assert_allclose(classifier.cosines(data.train.images), 1 - distances**2 / 2, atol=1e-5)


def test_a_model_without_named_prototypes_is_no_classifier(tmp_path):
    torch.manual_seed(0)
    model = EmbeddingModel("m", cloud().model, SHAPE)
    model.space = own_space(model)
    save_model(tmp_path, model, {})
    with pytest.raises(InputError, match="no class prototypes with names"):
        Classifier.load(tmp_path)
    model.space = own_space(model, prototypes=save_prototypes(tmp_path, torch.eye(4, 8)))
    save_model(tmp_path, model, {})
    with pytest.raises(InputError, match="no class prototypes with names"):
        Classifier.load(tmp_path)
