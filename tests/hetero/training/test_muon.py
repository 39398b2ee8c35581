"""Muon's steps, by hand and beside torch."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hetero.training.config import TrainingConfig
from hetero.training.optimisation.muon import Muon, orthogonalised, takes_orthogonal_steps
from hetero.training.optimisation.optimizer import VECTOR_SHARE, build_optimizer, set_learning_rate
from hetero.training.optimisation.schedule import Schedule


@settings(max_examples=30)
@given(st.integers(2, 24), st.integers(2, 24), st.integers(0, 1000))
def test_singular_values_come_near_one_and_directions_stay(rows: int, columns: int, seed: int):
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))
    before = torch.linalg.svd(matrix, full_matrices=False)
    after = orthogonalised(matrix)
    inner = before.U.T @ after @ before.Vh.T
    large = 0.05 * before.S.max() < before.S
    assert ((inner.diagonal()[large] > 0.5) & (inner.diagonal()[large] < 1.3)).all()
    torch.testing.assert_close(inner - inner.diagonal().diag(), torch.zeros_like(inner), atol=2e-3, rtol=0)


def test_a_filter_is_a_matrix_of_its_output_channels():
    torch.manual_seed(0)
    filters = nn.Parameter(torch.zeros(4, 3, 2, 2))
    matrix = nn.Parameter(torch.zeros(4, 12))
    gradient = torch.randn(4, 3, 2, 2)
    filters.grad, matrix.grad = gradient.clone(), gradient.reshape(4, 12).clone()
    groups = [{"params": [filters, matrix], "orthogonal": True, "lr": 0.1, "weight_decay": 0.0}]
    Muon(groups).step()
    torch.testing.assert_close(filters.detach().reshape(4, 12), matrix.detach())
    assert float(matrix.detach().norm()) == pytest.approx(0.1 * 4**0.5, rel=0.25)


def test_momentum_looks_ahead():
    weight = nn.Parameter(torch.zeros(2, 2))
    optimizer = Muon([{"params": [weight], "orthogonal": True, "lr": 1.0}], momentum=0.5)
    first, second = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[0.0, 1.0], [3.0, 0.0]])
    weight.grad = first.clone()
    optimizer.step()
    before = weight.detach().clone()
    weight.grad = second.clone()
    optimizer.step()
    average = 0.5 * first + second
    torch.testing.assert_close(before - weight.detach(), orthogonalised(second + 0.5 * average))


def test_the_rest_takes_the_steps_of_adamw():
    start = torch.randn(7, generator=torch.Generator().manual_seed(1))
    ours, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    mine = Muon([{"params": [ours], "lr": 0.01, "weight_decay": 0.1}])
    reference = torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1)
    for step in range(5):
        gradient = torch.randn(7, generator=torch.Generator().manual_seed(10 + step))
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step()
        reference.step()
    torch.testing.assert_close(ours, theirs)


def test_depthwise_filters_and_vectors_are_no_matrices():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 5, groups=8), nn.BatchNorm2d(8), nn.Linear(8, 4))
    orthogonal = [name for name, one in network.named_parameters() if takes_orthogonal_steps(one)]
    assert orthogonal == ["0.weight", "3.weight"]


def test_every_weight_is_trained_once_and_what_is_no_matrix_slower():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 5, groups=8), nn.BatchNorm2d(8), nn.Linear(8, 4))
    config = TrainingConfig(steps=10, warmup=0.0)
    optimizer = build_optimizer(network, config)
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(map(id, trained)) == sorted(map(id, network.parameters()))
    set_learning_rate(optimizer, Schedule(config).rate(1))
    rates = [group["lr"] for group in optimizer.param_groups]
    assert rates == [0.06, pytest.approx(0.06 * VECTOR_SHARE), pytest.approx(0.06 * VECTOR_SHARE)]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.3, 0.3, 0.0]


def test_weight_decay_is_the_optimisers_unless_it_is_named():
    network = nn.Linear(8, 4)
    for config, expected in (
        (TrainingConfig(optimizer="adamw"), 0.05),
        (TrainingConfig(optimizer="adamw", weight_decay=0.3), 0.3),
        (TrainingConfig(weight_decay=0.0), 0.0),
    ):
        assert build_optimizer(network, config).param_groups[0]["weight_decay"] == expected


def test_its_state_survives_saving():
    torch.manual_seed(0)
    one, other = nn.Linear(3, 3), nn.Linear(3, 3)
    config = TrainingConfig()
    first = build_optimizer(one, config)
    one(torch.ones(2, 3)).sum().backward()
    first.step()
    other.load_state_dict(one.state_dict())
    second = build_optimizer(other, config)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for model, optimizer in ((one, first), (other, second)):
        model.zero_grad()
        model(torch.arange(6.0).view(2, 3)).square().sum().backward()
        optimizer.step()
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
