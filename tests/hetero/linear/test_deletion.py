from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from hetero.linear.deletion.deletion import delete
from hetero.linear.solver.linearised import Linearised
from hetero.linear.solver.problem import Problem
from tests.hetero.linear.nets import dense_jacobian, images, net, targets

COUNT, RIDGE, GONE = 6, 0.05, [4, 1]
KEPT = [0, 2, 3, 5]


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem(Linearised(net(), dtype=torch.float64), images(COUNT), targets(COUNT), RIDGE)


def retrained(problem: Problem) -> torch.Tensor:
    """The closed form of the weights on the images that stay; each term has the weight that it had among all."""
    model, inputs = problem.model, problem.inputs[KEPT]
    J = dense_jacobian(model, inputs)
    missed = (problem.targets[KEPT] - model.origin(inputs)).reshape(-1)
    H = J.T @ J / COUNT + RIDGE * torch.eye(J.shape[1], dtype=torch.float64)
    if problem.anchors is not None:
        Ja = dense_jacobian(model, problem.anchors)
        H += problem.anchor_weight * Ja.T @ Ja / len(problem.anchors)
    return torch.linalg.solve(H, J.T @ missed / COUNT)


def test_the_dual_equals_retraining(problem):
    assert delete(problem, GONE).anew is None
    found = delete(problem, GONE, anew=True)
    assert found.method == "dual" and found.solution.steps == 0
    expected = retrained(problem)
    for change in (found.solution.change, found.anew):
        assert (change - expected).abs().max() <= 1e-8
    assert found.solution.residual <= 1e-8


@pytest.mark.parametrize("warm", [True, False])
def test_with_anchors_conjugate_gradients_come_to_retraining(problem, warm):
    held = dataclasses.replace(problem, anchors=images(3, seed=9), anchor_weight=0.5)
    start = torch.randn(problem.model.size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = delete(held, GONE, start if warm else None, apart=1e-11, anew=True)
    assert found.method == ("conjugate gradients" if warm else "anew") and 0 < found.solution.steps < 500
    for change in (found.solution.change, found.anew):
        assert (change - retrained(held)).abs().max() <= 1e-8
    assert found.solution.residual <= 1e-10


def test_a_solution_that_was_not_reached_is_seen(problem):
    held = dataclasses.replace(problem, anchors=images(3, seed=9))
    start = torch.ones(problem.model.size, dtype=torch.float64)
    found = delete(held, GONE, start, steps=1)
    assert found.solution.residual > 0.01
    rest, wrong = found.problem, found.solution.change - retrained(held)
    weights, outputs = rest.apart(float(rest.left(found.solution.change).norm()))
    assert 0.01 < float(wrong.norm()) <= weights
    answers = rest.model.forward_product(rest.inputs, wrong).square().sum(dim=1).mean().sqrt()
    assert float(answers) <= outputs


def test_the_bound_of_the_outputs_is_reached_where_the_curvature_is_twice_the_ridge():
    # One weight and one image, J = x: the answer is off by x e, where (x^2 + lambda) e is what is left.
    rest = Problem(
        Linearised(nn.Linear(1, 1, bias=False), dtype=torch.float64), torch.tensor([[0.5]]), torch.ones(1, 1), 0.25
    )
    change = torch.zeros(1, dtype=torch.float64)
    left = float(rest.left(change))
    off = left / (0.5**2 + 0.25)
    assert rest.apart(left) == pytest.approx((left / 0.25, 0.5 * off))
