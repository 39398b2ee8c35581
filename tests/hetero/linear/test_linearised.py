from __future__ import annotations

import pytest
import torch
from torch import nn

from hetero.errors import InputError
from hetero.linear.solver.linearised import Linearised
from tests.hetero.linear.nets import dense_jacobian, images, net


def change_of(model: Linearised, seed: int, size: float = 1.0) -> torch.Tensor:
    return size * torch.randn(model.size, generator=torch.Generator().manual_seed(seed), dtype=model.dtype)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_it_is_linear_in_the_change(dtype, tolerance):
    model, inputs = Linearised(net(), dtype=dtype, batch_size=3), images(7)
    one, other = change_of(model, 1, 0.1), change_of(model, 2, 0.1)
    origin = model.origin(inputs)
    moved = model(inputs, 2 * one - 3 * other) - origin
    apart = 2 * (model(inputs, one) - origin) - 3 * (model(inputs, other) - origin)
    assert moved.abs().max() > 0.1
    assert (moved - apart).abs().max() <= tolerance * moved.abs().max()


def test_a_network_that_is_linear_is_its_own_linearisation():
    layer = nn.Linear(4, 2).double()
    model = Linearised(layer, dtype=torch.float64)
    inputs, change = torch.randn(5, 4, dtype=torch.float64), change_of(model, 0)
    weight, bias = layer.weight + change[:8].view(2, 4), layer.bias + change[8:]
    assert torch.allclose(model(inputs, change), inputs @ weight.T + bias, atol=1e-14)


def test_products_are_finite_differences_of_the_network():
    model, inputs, step = Linearised(net(), dtype=torch.float64), images(4), 1e-5
    change = change_of(model, 3)
    forward, back = model.changed(inputs, step * change), model.changed(inputs, -step * change)
    assert torch.allclose(model.forward_product(inputs, change), (forward - back) / (2 * step), atol=1e-8)


def test_products_are_those_of_the_dense_jacobian():
    model, inputs = Linearised(net(), dtype=torch.float64, batch_size=3), images(7)
    jacobian = dense_jacobian(model, inputs)
    change, cotangents = change_of(model, 4), torch.randn(7, 3, dtype=torch.float64)
    assert torch.allclose(model.forward_product(inputs, change).reshape(-1), jacobian @ change, atol=1e-12)
    assert torch.allclose(model.backward_product(inputs, cotangents), jacobian.T @ cotangents.reshape(-1), atol=1e-12)
    assert torch.allclose(model.gauss_newton_product(inputs, change), jacobian.T @ (jacobian @ change), atol=1e-12)
    columns = torch.cat([model.jacobian(inputs, name).reshape(21, -1) for name in model.weights], dim=1)
    assert torch.allclose(columns, jacobian, atol=1e-12)
    shares = torch.rand(7, dtype=torch.float64)
    squares = model.squared_gradients(inputs, cotangents, shares, list(model.weights))
    each = torch.einsum("nkp,nk->np", jacobian.view(7, 3, -1), cotangents)
    assert torch.allclose(model.joined(squares), shares @ each.square(), atol=1e-12)


def test_parts_and_joined_are_each_others_reverse():
    model = Linearised(net(), ["last.weight", "norm.bias"])
    change = change_of(model, 5)
    assert list(model.parts(change)) == ["norm.bias", "last.weight"]
    assert torch.equal(model.joined(model.parts(change)), change) and model.size == 12


def test_training_mode_and_memory_format_do_not_count():
    plain = net()
    odd = net().train().to(memory_format=torch.channels_last)
    inputs = images(4).float()
    one, other = Linearised(plain), Linearised(odd)
    change = change_of(one, 6)
    assert torch.equal(one(inputs, change), other(inputs.to(memory_format=torch.channels_last), change))
    assert odd.training


def test_frozen_weights_stay():
    module = net()
    module.first.requires_grad_(False)
    assert "first.weight" not in Linearised(module).weights
    with pytest.raises(InputError, match="found all of them frozen"):
        Linearised(module.requires_grad_(False))
    with pytest.raises(InputError, match="has no weights nothing"):
        Linearised(module, ["nothing"])
