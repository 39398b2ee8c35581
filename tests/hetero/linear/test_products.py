"""Products with the same inputs again and again: equal to direct ones, however many of the inputs are kept."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hetero.linear.parts import divided
from hetero.linear.solver import products
from hetero.linear.solver.linearised import Linearised
from hetero.linear.solver.problem import Problem
from hetero.linear.solver.products import Products
from tests.hetero.linear.nets import embedding_model, images, net, pictures, targets


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(products, "FEWEST", 1)


TOLERANCES = [(torch.float64, 1e-12), (torch.float32, 1e-6)]


def assert_equal_to_direct(model: Linearised, found: Products, inputs: torch.Tensor, tolerance: float) -> None:
    drawn = torch.Generator().manual_seed(0)
    for _ in range(2):
        change = torch.randn(model.size, generator=drawn).to(model.dtype)
        forward = model.forward_product(inputs, change)
        assert (found.forward(change) - forward).abs().max() <= tolerance * forward.abs().max()
        backward = model.backward_product(inputs, forward)
        assert (found.backward(forward) - backward).abs().max() <= tolerance * backward.abs().max()


@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
@pytest.mark.parametrize("kept", [0, 4, 7])
def test_they_are_the_direct_ones(dtype, tolerance, kept, monkeypatch):
    # Of two batches and, where not all is kept, of others computed anew.
    monkeypatch.setattr(products, "KEPT_AT_ONCE", 3)
    model, inputs = Linearised(net(), dtype=dtype, batch_size=2), images(7)
    found = Products(model, inputs, limit=kept * products._bytes_of(model, inputs[:1]))
    assert found.count == kept
    assert_equal_to_direct(model, found, inputs, tolerance)


@pytest.mark.parametrize("family", ["residual", "edge"])
def test_they_are_the_direct_ones_of_a_model_of_each_family(family):
    parts = divided(embedding_model(family), "last-stage")
    model, inputs = Linearised(parts.upper, dtype=torch.float64), parts.inputs(pictures(5).numpy())
    assert_equal_to_direct(model, Products(model, inputs), inputs, 1e-12)


def test_a_weight_that_nothing_depends_on_does_not_move():
    module = nn.Sequential(nn.Linear(2, 2))
    module.register_parameter("spare", nn.Parameter(torch.ones(3)))
    model, inputs = Linearised(module, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)
    found = Products(model, inputs)
    assert_equal_to_direct(model, found, inputs, 1e-12)
    assert model.parts(found.backward(torch.ones(4, 2)))["spare"].abs().max() == 0


def test_the_memory_of_an_image_is_that_of_what_layers_keep_of_it():
    # Both copies of a linear layer keep its three inputs, in four bytes each.
    model = Linearised(nn.Linear(3, 2, bias=False))
    assert products._bytes_of(model, torch.randn(50, 3)[:1]) == 2 * 3 * 4


def test_another_ridge_shares_what_is_kept():
    problem = Problem(Linearised(net(), dtype=torch.float64), images(5), targets(5), 0.1)
    assert problem.with_ridge(0.2).products is problem.with_ridge(0.3).products
