"""A refit is the ridge regression that it claims to be, exactly, and is kept only where it does no harm."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from hetero.errors import InputError
from hetero.models.directory import load_model
from hetero.models.model import EmbeddingModel
from hetero.training.config import StudentConfig
from hetero.training.judging.curves import Look
from hetero.training.judging.judgement import Judgement
from hetero.training.loop.run import Fitted
from hetero.training.refit import PENALTIES, fit_last_layers, put, refit
from hetero.training.student import train_student
from tests.hetero.training.test_principal_start import CONFIG, cloud
from tests.hetero.training.test_student import SHAPE, dataset

__all__ = ["cloud", "dataset"]


@pytest.fixture(params=[0, 8])
def model(request, dataset, cloud, tmp_path) -> EmbeddingModel:
    # Small steps: four large ones leave features that float32 hardly tells apart.
    training = dataclasses.replace(CONFIG.training, learning_rate=0.02, weight_decay=0.05)
    config = dataclasses.replace(CONFIG, principal=request.param, training=training)
    return train_student(dataset, cloud, config, SHAPE, tmp_path / "student")


def features_of(model: EmbeddingModel, images: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model.features(model.pixels(torch.from_numpy(images))).double().numpy()


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def fitted_maps(model, dataset, cloud):
    sets = (dataset.train.images, cloud.train), (dataset.validation.images, cloud.validation)
    return fit_last_layers(model, *sets)


def test_the_model_computes_the_ridge_solution(model, dataset, cloud):
    features, queries = features_of(model, dataset.train.images), features_of(model, dataset.validation.images)
    mean = model.expansion.bias.double().numpy() if model.config.principal else 0.0
    basis = model.expansion.weight.double().numpy() if model.config.principal else np.eye(32)
    spread = features.var(axis=0).mean()
    found, images = fitted_maps(model, dataset, cloud), torch.from_numpy(dataset.validation.images)
    for penalty, affine, agreement in zip(PENALTIES, found.maps, found.agreement, strict=True):
        peer = Ridge(alpha=penalty * spread * len(features)).fit(features, (cloud.train - mean) @ basis)
        expected = unit(mean + peer.predict(queries) @ basis.T)
        put(model, affine)
        with torch.no_grad():
            vectors = model.eval()(images).numpy()
        np.testing.assert_allclose(vectors, expected, atol=2e-5)
        centre = cloud.train.mean(axis=0)
        by_hand = (unit(expected - centre) * unit(cloud.validation - centre)).sum(axis=1).mean()
        assert agreement == pytest.approx(by_hand, abs=1e-5)
    assert found.agreement[found.best] == max(found.agreement)


def test_the_necks_statistics_are_those_of_its_results(model, dataset, cloud):
    affine = fitted_maps(model, dataset, cloud).maps[1]
    put(model, affine)
    results = features_of(model, dataset.train.images) @ model.embedding.weight.detach().double().numpy().T
    np.testing.assert_allclose(model.neck.running_mean, results.mean(axis=0), atol=1e-5)
    np.testing.assert_allclose(model.neck.running_var, results.var(axis=0), rtol=1e-3, atol=1e-9)


def judged(figure: float) -> Judgement:
    return Judgement("map@r", {"map@r": figure})


@pytest.mark.parametrize(("figure", "kept"), [(0.6, True), (0.5, True), (0.4, False)])
def test_it_is_kept_unless_the_validation_figure_falls(model, dataset, cloud, figure, kept):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    before_refit = Fitted(Look(2, judged(0.5)), 4)
    fitted, outcome = refit(model, dataset, cloud, before_refit, lambda _: judged(figure))
    assert (outcome.kept, outcome.validation, outcome.penalty in PENALTIES) == (kept, figure, True)
    assert fitted == Fitted(Look(2, judged(max(figure, 0.5))), 4)
    same = all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert same is not kept


def test_a_training_with_refit_gives_the_same_bits_each_time(dataset, cloud, tmp_path):
    config = dataclasses.replace(CONFIG, refit=True)
    first, second = (train_student(dataset, cloud, config, SHAPE, tmp_path / name) for name in ("a", "b"))
    assert all(torch.equal(tensor, second.state_dict()[name]) for name, tensor in first.state_dict().items())
    images = torch.from_numpy(dataset.test.images)
    assert torch.equal(load_model(tmp_path / "a")(images), first(images))
    metrics = json.loads((tmp_path / "a" / "metrics.json").read_text())
    assert set(metrics["refit"]) == {"penalty", "agreement", "validation", "kept"}
    if metrics["refit"]["kept"]:
        assert metrics["validation"][metrics["judged_by"]] == metrics["refit"]["validation"]
    again = train_student(dataset, cloud, config, SHAPE, tmp_path / "a")
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in first.state_dict().items())


def test_what_it_needs_is_told_before_training(dataset, cloud, tmp_path):
    config = dataclasses.replace(CONFIG, refit=True)
    with pytest.raises(InputError, match="refit = true chooses by the cloud's vectors of the validation images"):
        train_student(dataset, dataclasses.replace(cloud, validation=None), config, SHAPE, tmp_path / "c")
    assert not (tmp_path / "c").exists()
    with pytest.raises(InputError, match="refit: is to the cloud's vectors, and an independent student has none"):
        StudentConfig(name="s", independent=True, refit=True)
