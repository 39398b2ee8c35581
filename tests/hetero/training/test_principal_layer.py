"""A last layer in principal directions: by hand, saved and loaded, counted, rounded and folded."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from torch import nn

from export.conversion.graphs import with_neck_folded
from hetero.errors import InputError
from hetero.geometry.principal import PrincipalDirections, principal_directions
from hetero.models.config import ModelConfig, Stage
from hetero.models.cost import cost
from hetero.models.directory import load_model, save_model
from hetero.models.fake_quant import fake_quantised, layers_with_norms
from hetero.models.model import EmbeddingModel
from hetero.nas.cost.cost import network_costs
from hetero.preprocessing import Preprocessing
from hetero.space import EmbeddingSpace
from hetero.training.principal_layer import start_at
from tests.hetero.geometry.clouds import low_dimensional

SHAPE = Preprocessing(16, 16)
CONFIG = ModelConfig(dimension=32, stem_channels=8, stages=(Stage(channels=8, stride=2),), principal=4)
IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8))


@pytest.fixture
def directions() -> PrincipalDirections:
    return principal_directions(low_dimensional(), 4)


@pytest.fixture
def model(directions: PrincipalDirections) -> EmbeddingModel:
    torch.manual_seed(0)
    made = EmbeddingModel("tiny", CONFIG, SHAPE)
    start_at(made, directions)
    made.neck.momentum = None
    with torch.no_grad():
        made.train()(IMAGES)
    made.space = EmbeddingSpace.define(defined_by="x", name="cloud", version="1", dimension=32)
    return made.eval()


def test_vectors_by_hand(model, directions):
    with torch.no_grad():
        features = model.features(model.pixels(IMAGES)).double().numpy()
        vectors = model(IMAGES).numpy()
    products = features @ model.embedding.weight.detach().double().numpy().T
    mean, variance = (getattr(model.neck, name).double().numpy() for name in ("running_mean", "running_var"))
    coefficients = directions.std * (products - mean) / np.sqrt(variance + model.neck.eps)
    expected = directions.mean + coefficients @ directions.basis.T
    np.testing.assert_allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


def test_an_untrained_student_lies_in_the_clouds_plane_as_the_cloud_does(model, directions):
    with torch.no_grad():
        features = model.train().features(model.pixels(IMAGES))
        before = model.expansion(model.neck(model.embedding(features))).double().numpy()
    coefficients = (before - directions.mean) @ directions.basis
    np.testing.assert_allclose(directions.mean + coefficients @ directions.basis.T, before, atol=1e-6)
    np.testing.assert_allclose(coefficients.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(coefficients.std(axis=0), directions.std, rtol=5e-2)  # the norm adds its epsilon


def test_mean_and_basis_are_kept_the_gain_is_learnt(model):
    learnt = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {"embedding.weight", "neck.weight", "neck.bias"} <= learnt
    assert not any(name.startswith("expansion") for name in learnt)
    model.train()(IMAGES)[:, 0].sum().backward()
    assert model.neck.weight.grad.abs().max() > 0
    assert model.expansion.weight.grad is None


def test_the_directory_gives_it_back_and_one_from_before_still_loads(model, tmp_path):
    save_model(tmp_path / "new", model, {})
    again = load_model(tmp_path / "new")
    assert again.config == model.config
    assert torch.equal(again(IMAGES), model(IMAGES))
    assert not again.expansion.weight.requires_grad
    old = EmbeddingModel("old", dataclasses.replace(CONFIG, principal=0), SHAPE).eval()
    old.space = model.space
    assert not [name for name in old.state_dict() if "expansion" in name]
    save_model(tmp_path / "old", old, {})
    content = json.loads((tmp_path / "old" / "config.json").read_text())
    del content["model"]["principal"]
    (tmp_path / "old" / "config.json").write_text(json.dumps(content))
    assert torch.equal(load_model(tmp_path / "old")(IMAGES), old(IMAGES))


def test_its_cost(model):
    channels = model.embedding.in_features
    all_dimensions = cost(EmbeddingModel("all", dataclasses.replace(CONFIG, principal=0), SHAPE))
    found = cost(model)
    assert found.macs - all_dimensions.macs == channels * 4 + 4 * 32 - channels * 32
    assert found.parameters - all_dimensions.parameters == channels * 4 + 2 * 4 + (4 + 1) * 32 - channels * 32 - 2 * 32
    assert network_costs(CONFIG, SHAPE, None)["macs"] == found.macs


def test_more_directions_than_dimensions_are_refused():
    with pytest.raises(InputError, match="principal: expected at most 32, the dimension, got 40"):
        dataclasses.replace(CONFIG, principal=40)


def test_rounding_for_int8_reaches_both_layers(model):
    pairs = dict(layers_with_norms(model))
    assert pairs[model.embedding] is model.neck
    assert pairs[model.expansion] is None
    with torch.no_grad():
        before = model(IMAGES)
        with fake_quantised(model, IMAGES):
            inside, weight = model(IMAGES), model.expansion.weight.clone()
    scale = model.expansion.weight.abs().amax(dim=1, keepdim=True) / 127
    assert ((weight / scale) - (weight / scale).round()).abs().max() < 1e-3
    assert not model.expansion.weight.requires_grad
    assert 0.97 < (inside * before).sum(dim=1).min() < 1 - 1e-7
    assert torch.equal(model(IMAGES), before)


def test_an_export_folds_the_neck_and_keeps_the_rest(model):
    folded = with_neck_folded(model)
    assert isinstance(folded.neck, nn.Identity)
    assert isinstance(folded.expansion, nn.Linear)
    torch.testing.assert_close(folded(IMAGES), model(IMAGES))
