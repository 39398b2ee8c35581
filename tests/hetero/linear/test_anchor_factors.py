"""Factors of old images in place of the images."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from hetero.linear.solver.linearised import Linearised
from hetero.linear.solver.precondition import anchor_factors, kronecker
from hetero.linear.solver.problem import Problem
from hetero.linear.solver.solve import solve
from tests.hetero.linear.nets import net


def test_factors_of_a_linear_layer_hold_it_exactly_as_its_anchors_do():
    torch.manual_seed(0)
    model = Linearised(nn.Linear(4, 3, bias=False), dtype=torch.float64)
    anchors, change = torch.randn(7, 4), torch.randn(12, dtype=torch.float64)
    # J'J of W x is the identity of the outputs beside the second moment of x.
    by_hand = change.view(3, 4) @ (anchors.double().T @ anchors.double()) / 7
    assert torch.allclose(anchor_factors(model, anchors, draws=3).product(model, change), by_hand.reshape(-1))


def test_a_problem_solved_with_them_is_the_one_with_its_anchors_where_they_are_exact():
    torch.manual_seed(1)
    model = Linearised(nn.Linear(4, 3, bias=False), dtype=torch.float64)
    shown = Problem(model, torch.randn(5, 4), torch.randn(5, 3), 0.1, torch.randn(7, 4), 2.0)
    assert shown.anchors is not None
    stood_in = replace(shown, anchors=None, held=anchor_factors(model, shown.anchors, draws=3))
    change = solve(shown, steps=100, tolerance=1e-12).change
    assert torch.allclose(solve(stood_in, kronecker(stood_in)(0.1), steps=100, tolerance=1e-12).change, change)
    assert abs(stood_in.objective(change) - shown.objective(change)) < 1e-12


def test_weights_without_factors_are_held_by_their_diagonal():
    model = Linearised(net(), dtype=torch.float64)
    anchors = torch.randn(6, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    J = model.jacobian(anchors, "norm.weight").flatten(end_dim=1)
    held = anchor_factors(model, anchors, draws=3)
    assert torch.allclose(held.diagonals["norm.weight"], J.square().sum(dim=0) / 6)
    assert set(held.blocks) == {"first.weight", "last.weight"} and set(held.channels) == {"depthwise.weight"}
    assert {*held.blocks, *held.channels, *held.diagonals} == set(model.weights)


def test_a_channel_is_held_by_the_whole_of_its_block():
    model = Linearised(net(), dtype=torch.float64)
    anchors, change = torch.randn(6, 2, 8, 8), torch.randn(model.size, dtype=torch.float64)
    held = anchor_factors(model, anchors, draws=3)
    product = model.parts(held.product(model, change))["depthwise.weight"]
    J = model.jacobian(anchors, "depthwise.weight").flatten(end_dim=1)
    for channel, piece in enumerate(model.parts(change)["depthwise.weight"].flatten(start_dim=1)):
        own = J.view(len(J), len(product), -1)[:, channel]
        assert torch.allclose(product.flatten(start_dim=1)[channel], own.T @ (own @ piece) / 6)


def test_the_preconditioner_of_both_is_that_of_all_images():
    torch.manual_seed(2)
    model = Linearised(net(), dtype=torch.float64)
    shown = Problem(model, torch.randn(5, 2, 8, 8), torch.randn(5, 3), 0.1, torch.randn(7, 2, 8, 8), 2.0)
    assert shown.anchors is not None
    stood_in = replace(shown, anchors=None, held=anchor_factors(model, shown.anchors, draws=3))
    vector = torch.randn(model.size, dtype=torch.float64)
    both = [kronecker(one, draws=3)(one.ridge)(vector) for one in (shown, stood_in)]
    assert torch.allclose(*both)
