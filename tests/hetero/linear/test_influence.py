from __future__ import annotations

import pytest
import torch

from hetero.linear.explanation.influence import influences, margin_gradient
from hetero.linear.solver.dual import Dual
from hetero.linear.solver.linearised import Linearised
from hetero.linear.solver.problem import Problem
from hetero.linear.solver.solve import solve
from tests.hetero.linear.nets import dense_jacobian, images, net, targets

COUNT = 6
RIGHT, WRONG = targets(2, seed=5)
QUERY = images(1, seed=6)


@pytest.fixture(scope="module")
def problem() -> Problem:
    return Problem(Linearised(net(), dtype=torch.float64), images(COUNT), targets(COUNT), 0.1)


def margin(problem: Problem, change: torch.Tensor) -> float:
    return float((problem.model(QUERY, change)[0] * (RIGHT - WRONG)).sum())


def test_the_margin_follows_its_gradient(problem):
    gradient = margin_gradient(problem.model, QUERY, RIGHT, WRONG)
    change = torch.randn(problem.model.size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    moved = margin(problem, change) - margin(problem, torch.zeros_like(change))
    assert moved == pytest.approx(float(gradient @ change), abs=1e-12)


def test_exact_influences_equal_retraining(problem):
    dual, gradient = Dual.of(problem), margin_gradient(problem.model, QUERY, RIGHT, WRONG)
    found = dual.influences(gradient)
    for row in range(COUNT):
        change = margin(problem, dual.without([row])) - margin(problem, dual.change)
        assert float(found[row]) == pytest.approx(change, abs=1e-8)
    assert found.abs().max() > 1e-3


def test_first_order_is_how_the_margin_follows_an_images_weight(problem):
    held = Problem(problem.model, problem.inputs, problem.targets, 0.1, images(4, seed=1), 0.5)
    solution = solve(held, steps=200, tolerance=1e-12).change
    gradient = margin_gradient(problem.model, QUERY, RIGHT, WRONG)
    found = influences(held, solution, gradient, steps=200, tolerance=1e-12)
    J, Ja = (dense_jacobian(held.model, each) for each in (held.inputs, held.anchors))
    step = 1e-6
    for row in range(COUNT):
        weights = torch.ones(COUNT, dtype=torch.float64)
        weights[row] -= step
        each = weights.repeat_interleave(3) / COUNT
        H = J.T @ (each[:, None] * J) + 0.5 / 4 * Ja.T @ Ja + 0.1 * torch.eye(J.shape[1], dtype=torch.float64)
        without = torch.linalg.solve(H, J.T @ (each * held.residuals.reshape(-1)))
        assert float(found[row]) == pytest.approx((margin(held, without) - margin(held, solution)) / step, rel=1e-4)


def test_first_order_is_near_exact_where_leverage_is_low(problem):
    gradient = margin_gradient(problem.model, QUERY, RIGHT, WRONG)
    differences = []
    for ridge in (0.01, 1000.0):
        dual = Dual.of(problem.with_ridge(ridge))
        exact = dual.influences(gradient)
        near = influences(dual.problem, dual.change, gradient, steps=200)
        differences.append(float((near - exact).norm() / exact.norm()))
        assert (dual.leverages() > 0.5).all() if ridge < 1 else (dual.leverages() < 0.01).all()
    assert differences[1] < 0.05 and differences[0] > 0.5
