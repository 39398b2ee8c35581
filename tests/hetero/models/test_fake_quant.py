from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hetero.models.config import ModelConfig, Stage
from hetero.models.fake_quant import fake_quantised, layers_with_norms
from hetero.models.model import EmbeddingModel
from hetero.preprocessing import Preprocessing

STAGES = (Stage(channels=8, expansion=2.0), Stage(channels=8, stride=2, squeeze_excite=True))
RESIDUAL = (Stage(channels=8, stride=2),)


def pictures(count: int = 6) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8))


def model(family: str = "edge") -> EmbeddingModel:
    torch.manual_seed(0)
    stages = STAGES if family == "edge" else RESIDUAL
    made = EmbeddingModel(
        "tiny", ModelConfig(family=family, dimension=8, stages=stages, stem_channels=8), Preprocessing(16, 16)
    )
    for module in made.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = None
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    with torch.no_grad():
        made.train()(pictures())
    return made.eval()


def vectors(one: EmbeddingModel) -> torch.Tensor:
    with torch.no_grad():
        return one(pictures())


@pytest.mark.parametrize("family", ["edge", "residual"])
def test_close_to_the_float_model_and_gone_afterwards(family: str) -> None:
    one = model(family)
    before, keys = vectors(one), set(one.state_dict())
    with fake_quantised(one, pictures()):
        inside = vectors(one)
    assert 0.97 < (inside * before).sum(dim=1).min() < 1 - 1e-6
    assert torch.equal(vectors(one), before)
    assert set(one.state_dict()) == keys


def test_weights_are_rounded_as_the_folded_int8_weights() -> None:
    one = model()
    layer, norm = one.backbone[0][0], one.backbone[0][1]
    weight = layer.weight.detach().clone()
    gain = (norm.weight / torch.sqrt(norm.running_var + norm.eps)).detach().view(-1, 1, 1, 1)
    with fake_quantised(one, pictures()):
        folded = (layer.weight * gain).detach()
    scale = (weight * gain).flatten(1).abs().amax(dim=1).view(-1, 1, 1, 1) / 127
    levels = folded / scale
    assert (levels - levels.round()).abs().max() < 1e-3
    assert levels.abs().max() <= 127 + 1e-3
    assert (folded - weight * gain).abs().max() <= scale.max() / 2 + 1e-6


def test_activations_lie_on_a_grid_of_256() -> None:
    one, seen = model(), []
    with fake_quantised(one, pictures()):
        handle = one.neck.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        vectors(one)
        handle.remove()
    values = torch.unique(seen[0])
    assert 8 < len(values) <= 256
    steps = values.diff()
    assert ((steps / steps.min()) - (steps / steps.min()).round()).abs().max() < 1e-2


def test_gradients_pass_and_statistics_stay() -> None:
    one = model()
    statistics = {name: value.clone() for name, value in one.state_dict().items() if "running" in name}
    before = one.backbone[0][0].weight.detach().clone()
    with fake_quantised(one, pictures()):
        one.train()
        one(pictures())[:, 0].sum().backward()
        gradients = [parameter.grad for parameter in one.parameters()]
        assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)
        with torch.no_grad():
            for parameter in one.parameters():
                parameter.add_(parameter.grad, alpha=-0.01)
    assert not torch.equal(one.backbone[0][0].weight, before)
    assert all(torch.equal(one.state_dict()[name], value) for name, value in statistics.items())


def test_every_layer_and_its_norm() -> None:
    one = model()
    pairs = dict(layers_with_norms(one))
    layers = [module for module in one.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert set(pairs) == set(layers)
    assert pairs[one.embedding] is one.neck
    without = [layer for layer, norm in pairs.items() if norm is None]
    assert all(layer.kernel_size == (1, 1) for layer in without), "only squeeze-and-excite layers have no norm"
